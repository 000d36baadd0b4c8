"""From images to what the networks say of them."""
