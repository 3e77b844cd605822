//! Endpoints, one file per router of the contract.
