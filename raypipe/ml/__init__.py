"""Models from specs: features, search, calibration, validation, tracking.

`run_ml_workflow` does the whole; `build_ml_pipeline` gives the unfitted scikit-learn pipeline alone. Needs the pip
extra `ml`; importing this package does not.
"""
