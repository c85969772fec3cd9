"""Fine-tuning for files that are small or in 8 bits, by a twin of the net in tf_keras."""
