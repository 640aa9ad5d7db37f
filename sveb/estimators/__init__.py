"""The estimators that ship with SVEB, one file each."""
