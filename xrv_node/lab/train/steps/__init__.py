"""Small networks from nothing: counted steps over images that are drawn, or read, as they are needed."""
