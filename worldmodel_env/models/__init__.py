"""Networks: VQ-GAN tokenizer, TECO and its parts. Modules only; they know no files."""
