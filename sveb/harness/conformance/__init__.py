"""The conformance kit behind `sveb check`: does an estimator keep the contract? Truth plays no part in it."""
