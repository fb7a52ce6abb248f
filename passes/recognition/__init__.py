"""What the passes share that find an operator written out in smaller ones."""
