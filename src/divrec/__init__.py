"""divrec: recommenders from pretrained language models, trained with loss = L + beta * R, and what diversity costs."""

__version__ = "0.1.0"
