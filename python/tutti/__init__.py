"""The Python side of Tutti: what turns models, images and configurations of others into what `tutti` reads. It runs no
ensemble itself."""
