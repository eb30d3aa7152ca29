//! Errors with the codes that PostgreSQL's drivers look at.

use crate::door::run::of_stream;
use crate::error::Error;
use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

/// An error with its code.
pub fn error(code: &str, what: &str) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), code.to_owned(), what.to_owned())))
}

/// An error of the engine.
pub fn of_engine(problem: &Error) -> PgWireError {
    let code = match problem {
        Error::Query(what) if what.contains("ivide by zero") => "22012",
        Error::Query(_) => "42601",
        Error::Budget(what) if what.contains("rows") => "54000",
        Error::Budget(what) if what.contains(" ms") => "57014",
        Error::Budget(_) => "53200",
        Error::Busy(_) => "53300",
        Error::Closed => "57P01",
        Error::Malformed(_) | Error::UnknownDevice(_) => "22023",
        Error::Store(_) => "58030",
        Error::Config(_) => "F0000",
    };
    error(code, &problem.to_string())
}

/// An error of planning or of execution.
pub fn of_datafusion(problem: &DataFusionError) -> PgWireError {
    let root = problem.find_root();
    if matches!(root, DataFusionError::External(_) | DataFusionError::ResourcesExhausted(_)) {
        let own = of_stream(root);
        let is_own = matches!(root, DataFusionError::External(inner) if inner.is::<Error>());
        if is_own || !matches!(own, Error::Query(_)) {
            return of_engine(&own);
        }
    }
    error(code_of(root), &root.strip_backtrace())
}

fn code_of(root: &DataFusionError) -> &'static str {
    match root {
        DataFusionError::SQL(..) => "42601",
        DataFusionError::SchemaError(inner, _) => match **inner {
            SchemaError::FieldNotFound { .. } => "42703",
            SchemaError::AmbiguousReference { .. } => "42702",
            _ => "42701",
        },
        DataFusionError::NotImplemented(_) => "0A000",
        DataFusionError::Plan(what) => code_of_plan(what),
        DataFusionError::ArrowError(inner, _) => match **inner {
            ArrowError::DivideByZero => "22012",
            ArrowError::ArithmeticOverflow(_) => "22003",
            ArrowError::CastError(_) | ArrowError::ParseError(_) => "22P02",
            _ => "XX000",
        },
        _ => "XX000",
    }
}

/// The planner says what is wrong in words only.
fn code_of_plan(what: &str) -> &'static str {
    let what = what.to_ascii_lowercase();
    if what.starts_with("table ") && what.contains("not found") {
        "42P01"
    } else if what.contains("invalid function") || what.contains("no function matches") {
        "42883"
    } else if what.contains("ddl not supported")
        || what.contains("dml not supported")
        || what.contains("statement not supported")
    {
        "25006"
    } else if what.contains("group by") || what.contains("aggregate") {
        "42803"
    } else {
        "42000"
    }
}
