"""Every command on a device that is not there."""
