"""The estimators that ship with SVEB, one small file each. `sveb.estimate.registry` lists them."""
