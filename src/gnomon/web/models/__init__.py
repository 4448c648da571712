"""What the OpenAPI document says of bodies and answers. `operations.views` makes answers; tests hold both together."""
