"""Faults to plant: one change of a shipped file each."""

from __future__ import annotations

from tests.cluster.shipped import Fault

AWS, GCP, AZURE, ONPREM = "aws.yaml", "gcp.yaml", "azure.yaml", "onprem.yaml"
CLUSTER, JOB, CRON, POLICY = (
    f"kuberay/{name}.yaml" for name in ("raycluster", "rayjob", "raycronjob", "networkpolicy")
)
COMPOSE, DOCKER = "docker/compose.yaml", "docker/Dockerfile"
WHEEL = "https://s3-us-west-2.amazonaws.com/ray-wheels/latest/ray-3.0.0.dev0-cp310-cp310-manylinux2014_x86_64.whl"
OPEN_SSH = """  use_internal_ips: false
  security_group:
    IpPermissions:
    - FromPort: 22
      ToPort: 22
      IpProtocol: tcp
      IpRanges: [{CidrIp: 0.0.0.0/0}]
"""

LAUNCHER = (
    Fault("launcher-key", AWS, "max_workers: 26", "max_worker: 26"),
    Fault("launcher-key", AWS, "    max_workers: 4\n", "    max_workrs: 4\n"),
    Fault("launcher-key", GCP, "pull_before_run: true\n  run_options", "pull_befor_run: true\n  run_options"),
    Fault("launcher-ray", AWS, "upscaling_speed: 2.0", "upscaling_speed: fast"),
    Fault("launcher-ray", AZURE, "head_node_type: head", "head_node_type: haed", before="cluster_name", also=("head-cpus",)),
    Fault("provider-key", AWS, "region:", "regoin:", also=("provider-missing",)),
    Fault("provider-key", AWS, "  cache_stopped_nodes", "  cache_stoped_nodes"),
    Fault("provider-key", GCP, "project_id:", "projectid:", also=("provider-missing",)),
    Fault("provider-key", AZURE, "resource_group:", "resourcegroup:", also=("provider-missing",)),
    Fault("provider-key", AZURE, "msi_name:", "msi_nme:"),
    Fault("provider-type", AWS, "type: aws", "type: asw", also=("launcher-ray",)),
    Fault("provider-missing", AWS, "  region: us-west-2\n", "", before="provider:"),
    Fault("aws-node-config", AWS, "InstanceType: m7i.xlarge", "InstanceTyp: m7i.xlarge"),
    Fault("aws-node-config", AWS, "VolumeSize: 100", "VolumeSize: large"),
    Fault("aws-node-config", AWS, "VolumeType: gp3", "VolumeTyp: gp3"),
    Fault("aws-node-config", AWS, "HttpEndpoint:", "HttpEndpont:"),
    Fault("aws-enum", AWS, "m7i.2xlarge", "m7i.2xlarg"),
    Fault("aws-enum", AWS, "MarketType: spot", "MarketType: spott"),
    Fault("aws-imds", AWS, "HttpTokens: required", "HttpTokens: optional"),
    Fault(
        "aws-security-group", AWS, "      SecurityGroupIds:\n      - sg-0123456789abcdef0\n", "", before="node_config"
    ),
    Fault("aws-profile", AWS, "      IamInstanceProfile:\n        Name: raypipe-worker\n", "", before="node_config"),
    Fault("aws-disk", AWS, "          Encrypted: true\n", "", before="Ebs"),
    Fault("open-cidr", AWS, "  use_internal_ips: false\n", OPEN_SSH, at="- FromPort"),
    Fault("gcp-node-config", GCP, "machineType:", "machineTyp:"),
    Fault("gcp-node-config", GCP, "provisioningModel: SPOT", "provisioningModel: SPOTTY", also=("spot-label",)),
    Fault("gcp-node-config", GCP, "diskSizeGb:", "diskSizeGB:"),
    Fault(
        "gcp-public-ip",
        GCP,
        "      serviceAccounts:",
        "        accessConfigs: [{type: ONE_TO_ONE_NAT}]\n      serviceAccounts:",
        at="accessConfigs",
    ),
    Fault("azure-node-config", AZURE, "vmSize: Standard_D4s_v5", "vmsize: Standard_D4s_v5"),
    Fault("azure-node-config", AZURE, "priority: Spot", "priority: Spotty"),
    Fault("azure-node-config", AZURE, "osDiskSize: 100", "osDiskSize: '100'"),
    Fault("azure-public-ip", AZURE, "use_internal_ips: true", "use_internal_ips: false"),
    Fault("dashboard-public", AWS, "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0"),
    Fault("dashboard-public", ONPREM, "--dashboard-host=127.0.0.1", "--dashboard-host 0.0.0.0"),
    Fault("token-missing", AWS, "RAY_AUTH_MODE=token ", ""),
    Fault("token-missing", GCP, "RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled", nth=1),
    Fault("token-missing", AZURE, "RAY_AUTH_TOKEN_PATH=/home/ray/.raypipe/cluster_token ", ""),
    Fault("secret-value", AWS, "RAY_AUTH_TOKEN_PATH=/home", "RAY_AUTH_TOKEN=s3cr3tvalue RAY_AUTH_TOKEN_PATH=/home"),
    Fault("secret-value", AWS, "initialization_commands: []", "initialization_commands:\n- echo AKIAIOSFODNN7EXAMPLE", at="- echo"),
    Fault("nightly-wheel", AWS, "head_setup_commands: []", f"head_setup_commands:\n- pip install -U '{WHEEL}'", at="- pip"),
    Fault("ray-unpinned", GCP, "head_setup_commands: []", "head_setup_commands:\n- pip install 'ray[default]'", at="- pip"),
    Fault("ray-mismatch", GCP, "head_setup_commands: []", "head_setup_commands:\n- pip install ray==2.59.0", at="- pip"),
    Fault("setup-default", AWS, "setup_commands:\n- test", "x_commands:\n- test", before="cluster_name", also=("launcher-key",)),
    Fault("no-autoscaler", AWS, " --autoscaling-config=~/ray_bootstrap_config.yaml", ""),
    Fault("no-early-exit", AWS, " RAY_enable_infeasible_task_early_exit=true;", ";"),
    Fault("image-unpinned", AWS, "raypipe:0.1.0-ray2.60.0-py311-cpu", "raypipe"),
    Fault("image-unpinned", AWS, "registry.example.com/raypipe:0.1.0-ray2.60.0-py311-cu128", "rayproject/ray:latest-py311-gpu"),
    Fault("image-python", GCP, "py311-cpu", "py310-cpu"),
    Fault("image-python", GCP, "registry.example.com/raypipe:0.1.0-ray2.60.0-py311-cpu", "rayproject/ray:2.60.0"),
    Fault("ray-mismatch", GCP, "ray2.60.0", "ray2.58.2"),
    Fault("ray-below-floor", ONPREM, "ray2.60.0", "ray2.54.0"),
    Fault("idle-too-short", AWS, "idle_timeout_s: 600", "idle_timeout_s: 60"),
    Fault("idle-too-short", GCP, "idle_timeout_minutes: 10", "idle_timeout_minutes: 1"),
    Fault("min-over-max", AZURE, "min_workers: 0\n    max_workers: 4", "min_workers: 9\n    max_workers: 4"),
    Fault("head-cpus", AWS, "CPU: 0", "CPU: 4"),
    Fault("spot-label", AWS, "ray.io/market-type: spot", "ray.io/market-type: on-demand", before="labels:"),
    Fault("spot-label", AZURE, "      ray.io/market-type: spot\n", "", before="labels:"),
    Fault("resource-fraction", AWS, "CPU: 8", "CPU: 7.5"),
    Fault("more-workers-than-machines", ONPREM, "max_workers: 2", "max_workers: 5"),
    Fault("privileged", AWS, "--ulimit nofile=65536:65536", "--privileged"),
    Fault("yaml-duplicate-key", AWS, "upscaling_speed: 2.0", "max_workers: 3"),
    Fault("yaml-invalid", AWS, "provider:\n  type", "provider:\n\ttype", at="\ttype"),
)  # fmt: skip

KUBERNETES = (
    Fault("kuberay-key", CLUSTER, "enableInTreeAutoscaling:", "enableInTreeAutoScaling:", also=("autoscaler-version",)),
    Fault("kuberay-key", CLUSTER, "minReplicas:", "minReplica:"),
    Fault("kuberay-key", JOB, "entrypointNumCpus:", "entrypointNumCPUs:", also=("job-on-head",)),
    Fault("kuberay-key", CRON, "timeZone:", "timezone:"),
    Fault("kuberay-value", JOB, "submissionMode: SidecarMode", "submissionMode: Sidecar"),
    Fault("kuberay-value", CLUSTER, "num-cpus: '0'", "num-cpus: 0", also=("head-cpus",)),
    Fault("kuberay-value", CLUSTER, "  headGroupSpec:", "  headGroup:", before="spec:", also=("kuberay-key",)),
    Fault("kuberay-kind", CLUSTER, "kind: RayCluster", "kind: RayClustr"),
    Fault("kuberay-kind", CLUSTER, "ray.io/v1", "ray.io/v1alpha1"),
    Fault("token-missing", CLUSTER, "mode: token", "mode: disabled"),
    Fault("token-missing", JOB, "      mode: token\n", "", before="authOptions:"),
    Fault("secret-value", CLUSTER, "          env:\n", "          env:\n          - {name: DB_PASSWORD, value: hunter2}\n", at="- {name: DB"),
    Fault("ray-mismatch", CLUSTER, "rayVersion: 2.60.0", "rayVersion: 2.59.0"),
    Fault("ray-below-floor", CLUSTER, "rayVersion: 2.60.0", "rayVersion: 2.50.0"),
    Fault("image-unpinned", JOB, "raypipe:0.1.0-ray2.60.0-py311-cpu", "raypipe:latest"),
    Fault("autoscaler-version", CLUSTER, "version: v2", "version: v1"),
    Fault("idle-too-short", CLUSTER, "idleTimeoutSeconds: 600", "idleTimeoutSeconds: 60"),
    Fault("idle-too-short", CLUSTER, "idleTimeoutSeconds: 600", "idleTimeoutSeconds: 30", nth=1),
    Fault("head-cpus", CLUSTER, "num-cpus: '0'", "num-cpus: '4'"),
    Fault("service-public", CLUSTER, "serviceType: ClusterIP", "serviceType: LoadBalancer"),
    Fault("service-public", JOB, "serviceType: ClusterIP", "serviceType: NodePort"),
    Fault("min-over-max", CLUSTER, "minReplicas: 0", "minReplicas: 5"),
    Fault("min-over-max", CLUSTER, "replicas: 0", "replicas: 9"),
    Fault("spot-label", CLUSTER, "ray.io/market-type: spot", "ray.io/market-type: on-demand", before="labels:"),
    Fault("gpu-limit", CLUSTER, "              nvidia.com/gpu: '1'\n", "", nth=1, before="limits:"),
    Fault("gpu-toleration", CLUSTER, "- key: nvidia.com/gpu", "- key: nvidia.com/gpus", before="tolerations:"),
    Fault("pod-key", CLUSTER, "resources:\n            requests", "resorces:\n            requests", also=("resource-limit",)),
    Fault("pod-key", CLUSTER, "terminationGracePeriodSeconds", "terminationGraceSeconds"),
    Fault("pod-key", CLUSTER, "runAsUser:", "runAsUsr:"),
    Fault("host-namespace", CLUSTER, "restartPolicy: Never", "hostNetwork: true\n        restartPolicy: Never"),
    Fault("host-path", JOB, "emptyDir: {}", "hostPath: {path: /}"),
    Fault("restart-policy", CLUSTER, "restartPolicy: Never", "restartPolicy: Always"),
    Fault("privileged", CLUSTER, "            allowPrivilegeEscalation: false", "            privileged: true\n            allowPrivilegeEscalation: false"),
    Fault("root-container", CLUSTER, "runAsUser: 1000", "runAsUser: 0", at="            runAsNonRoot: true"),
    Fault("privilege-escalation", CLUSTER, "            allowPrivilegeEscalation: false", "            allowPrivilegeEscalation: true"),
    Fault("capabilities", CLUSTER, "              drop:\n              - ALL", "              drop:\n              - NET_RAW", before="capabilities"),
    Fault("resource-limit", CLUSTER, "            limits:\n              cpu: '2'\n", "            limits:\n", at="limits"),
    Fault("resource-fraction", CLUSTER, "limits:\n              cpu: '2'", "limits:\n              cpu: 1500m", at="cpu: 1500m"),
    Fault("job-cluster-stays", JOB, "shutdownAfterJobFinishes: true", "shutdownAfterJobFinishes: false"),
    Fault("job-on-head", JOB, "entrypointNumCpus: 1", "entrypointNumCpus: 0"),
    Fault("no-network-policy", CLUSTER, "raypipe-cluster: raypipe", "raypipe-cluster: other", before="spec:\n  rayVersion"),
    Fault("open-cidr", POLICY, "  - from:\n    - podSelector:", "  - from:\n    - ipBlock: {cidr: 0.0.0.0/0}\n    - podSelector:", at="- ipBlock"),
    Fault("network-policy-open", POLICY, "  ingress:\n", "  ingress:\n  - ports: [{port: 8265}]\n", at="- ports"),
    Fault("network-policy-open", POLICY, "  - Ingress\n", "", before="policyTypes"),
    Fault("network-policy-key", POLICY, "podSelector:", "podSelecter:"),
    Fault("account-token", "kuberay/serviceaccount.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true"),
)  # fmt: skip

CONTAINERS = (
    Fault("compose-port", COMPOSE, "127.0.0.1:8265:8265", "8265:8265"),
    Fault("compose-port", COMPOSE, "127.0.0.1:8265:8265", "0.0.0.0:8265:8265"),
    Fault("compose-key", COMPOSE, "healthcheck:", "healthchek:", also=("no-probe",)),
    Fault("compose-shm", COMPOSE, "shm_size: 1075m", "shm_size: 64m"),
    Fault("token-missing", COMPOSE, "RAY_AUTH_MODE: token", "RAY_AUTH_MODE: disabled", before="environment:"),
    Fault("token-missing", COMPOSE, "secrets:\n    - ray_token", "secrets:\n    - other"),
    Fault("secret-value", COMPOSE, "      RAY_AUTH_MODE: token", "      RAY_AUTH_TOKEN: s3cr3tvalue\n      RAY_AUTH_MODE: token"),
    Fault("root-container", COMPOSE, "user: 1000:100", "user: root"),
    Fault("privileged", COMPOSE, "    init: true", "    privileged: true\n    init: true"),
    Fault("host-namespace", COMPOSE, "    init: true", "    network_mode: host\n    init: true"),
    Fault("capabilities", COMPOSE, "    cap_drop:\n    - ALL\n", "", before="  head:"),
    Fault("image-unpinned", COMPOSE, "raypipe:0.1.0-ray2.60.0-py311-cpu", "raypipe:latest"),
    Fault("image-unpinned", DOCKER, "rayproject/ray:2.60.0-py311-cpu", "rayproject/ray:nightly-py311-cpu"),
    Fault("image-python", DOCKER, "2.60.0-py311-cpu", "2.60.0-cpu"),
    Fault("ray-below-floor", DOCKER, "2.60.0-py311-cu128", "2.51.0-py311-cu128"),
    Fault("root-container", DOCKER, "USER 1000:100", "USER root"),
    Fault("docker-instruction", DOCKER, 'CMD ["raypipe', 'WORKDRI /home/ray\nCMD ["raypipe'),
    Fault("secret-value", DOCKER, 'CMD ["raypipe', 'ENV API_TOKEN=abcdef123456\nCMD ["raypipe'),
    Fault("docker-add", DOCKER, 'CMD ["raypipe', 'ADD https://example.com/x.tar.gz /x\nCMD ["raypipe'),
    Fault("docker-pipe", DOCKER, "RUN cp", "RUN curl -s https://example.com/i.sh | bash && cp"),
    Fault("no-probe", DOCKER, "HEALTHCHECK --interval", "LABEL x=y #", before="FROM"),
)  # fmt: skip

FAULTS = (*LAUNCHER, *KUBERNETES, *CONTAINERS)
