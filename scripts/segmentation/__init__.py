"""Five small U-Nets for config/examples/segmentation.yaml: the pictures, the networks, their training."""
