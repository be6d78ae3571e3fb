"""The build profile: TOML model, layers with origins, validation against toolkit facts."""
