"""A feature store on Delta tables: history kept, joins that never look ahead, versions that a model can pin."""

from raypipe.ml.specs.store import FeatureStoreSpec, FeatureStoreSpecBuilder
from raypipe.ml.specs.views import FeatureView
from raypipe.ml.store.store import FeatureStore

__all__ = ["FeatureStore", "FeatureStoreSpec", "FeatureStoreSpecBuilder", "FeatureView"]
