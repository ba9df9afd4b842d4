"""Prompt templates and class names of image classification tasks, one text file each. No code."""
