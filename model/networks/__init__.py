"""Networks: a backbone, a head, and the number format and device that they compute in."""
