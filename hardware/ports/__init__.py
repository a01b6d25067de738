"""The port process: owns every device, keeps what its owner has not stored yet, says it again."""
