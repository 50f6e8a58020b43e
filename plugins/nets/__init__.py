"""Networks: conditioners, encoders and decoders."""
