"""Writers: stages that write parts in workers, and commits that make them appear, whole, in the driver."""
