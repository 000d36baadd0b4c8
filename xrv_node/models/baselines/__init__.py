"""Networks of others that torchxrayvision ships as baselines; those that are ResNets are in ``resnet.py``."""
