"""From weights to what others run: SavedModels, TFLite files, their model card."""
