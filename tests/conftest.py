"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A property is judged by what it finds, never by how busy the machine was: pytest-timeout ends what hangs.
settings.register_profile("shoal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shoal")
