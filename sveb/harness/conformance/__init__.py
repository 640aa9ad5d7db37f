"""The checks behind `sveb check`: does an estimator keep the contract? They never look at truth."""
