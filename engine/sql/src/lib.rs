//! SQL on flow records.
