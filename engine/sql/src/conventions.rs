//! Conventions of flow SQL that are not the grammar's, applied to parsed statements.
//!
//! - An alias `f_<fn>_<column>` says what is computed, whatever plain aggregate is written: `Sum(protocol) AS
//!   f_count_protocol` is `f_count(protocol)`; of `round(sum(in_pkts) / 60) AS f_sum_in_pkts` only the aggregate within
//!   is another one. A star stands for the column of the alias, except in counts.
//! - A number below 10^8 that `ctimestamp` is compared with is a time so many seconds ago:
//!   `ctimestamp > 3660 AND ctimestamp < 60` are the times from 3660 to 60 seconds ago. The comparison is that of the
//!   times, so `>` is later.
//! - `x::inet` and `x::cidr` are addresses and networks.

use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, Value, VisitMut,
    VisitorMut,
};

use crate::error::{Error, Position};
use crate::limits::JOINS_MAX;

/// Rewrites a statement in place.
///
/// # Errors
/// If a query has more tables than are planned, which only shows once it is parsed.
pub(crate) fn apply(statement: &mut Statement) -> Result<(), Error> {
    let mut conventions = Conventions;
    let flow = match statement {
        Statement::Statement(statement) => statement.visit(&mut conventions),
        Statement::Explain(explain) => return apply(&mut explain.statement),
        Statement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query.visit(&mut conventions),
            CopyToSource::Relation(_) => return Ok(()),
        },
        Statement::CreateExternalTable(_) | Statement::Reset(_) => return Ok(()),
    };
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Conventions;

impl VisitorMut for Conventions {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        if select.from.len() > JOINS_MAX {
            let start = select.select_token.0.span.start;
            let at = Position { line: start.line, column: start.column };
            return ControlFlow::Break(Error::TooMuch { what: "tables", most: JOINS_MAX, at });
        }
        for item in &mut select.projection {
            let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
            if let Some(meaning) = Meaning::of(&alias.value) {
                let _ = expr.visit(&mut Rename { meaning, queries: 0 });
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        seconds_ago(expr);
        address(expr);
        ControlFlow::Continue(())
    }
}

/// What an alias says.
#[derive(Clone, Copy)]
struct Meaning<'a> {
    function: &'static str,
    column: &'a str,
}

const FUNCTIONS: [(&str, &str); 7] = [
    ("sum", "f_sum"),
    ("count", "f_count"),
    ("avg", "f_avg"),
    ("max", "f_max"),
    ("min", "f_min"),
    ("countdistinct", "f_countdistinct"),
    ("hll", "f_hll"),
];

impl Meaning<'_> {
    fn of(alias: &str) -> Option<Meaning<'_>> {
        let (function, column) = alias.strip_prefix("f_")?.split_once('_')?;
        let (_, function) = FUNCTIONS.iter().find(|(name, _)| *name == function)?;
        (!column.is_empty()).then_some(Meaning { function, column })
    }
}

/// Puts what the alias says in the place of plain aggregates, except in subqueries.
struct Rename<'a> {
    meaning: Meaning<'a>,
    queries: usize,
}

impl VisitorMut for Rename<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let (Expr::Function(function), 0) = (expr, self.queries) {
            self.rename(function);
        }
        ControlFlow::Continue(())
    }
}

impl Rename<'_> {
    fn rename(&self, function: &mut Function) {
        if !is_plain_aggregate(&function.name) {
            return;
        }
        let FunctionArguments::List(list) = &mut function.args else { return };
        if list.args.iter().any(has_aggregate) {
            return;
        }
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            if !matches!(self.meaning.function, "f_countdistinct" | "f_hll" | "f_max" | "f_min") {
                return;
            }
            list.duplicate_treatment = None;
        }
        let is_star = matches!(list.args.as_slice(), [] | [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        if is_star && self.meaning.function != "f_count" {
            let column = Expr::Identifier(Ident::new(self.meaning.column));
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(column))];
        }
        function.name = ObjectName::from(vec![Ident::new(self.meaning.function)]);
    }
}

fn is_plain_aggregate(name: &ObjectName) -> bool {
    let [part] = name.0.as_slice() else { return false };
    let plain = ["sum", "count", "avg", "mean", "max", "min"];
    part.as_ident().is_some_and(|ident| plain.iter().any(|name| ident.value.eq_ignore_ascii_case(name)))
}

/// `sum(sum(x)) OVER (…)`: the aggregate is the inner one.
fn has_aggregate(argument: &FunctionArg) -> bool {
    let (FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
    | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }) = argument
    else {
        return false;
    };
    let mut expr = expr.clone();
    expr.visit(&mut FindAggregate).is_break()
}

struct FindAggregate;

impl VisitorMut for FindAggregate {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if is_plain_aggregate(&function.name) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Larger numbers are seconds of the Unix epoch: this one is in March 1973.
const SECONDS_AGO_BELOW: f64 = 1e8;

fn seconds_ago(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => {
            if is_ctimestamp(left) && seconds(right).is_some() {
                make_seconds_ago(right);
            } else if is_ctimestamp(right) && seconds(left).is_some() {
                make_seconds_ago(left);
            }
        }
        Expr::Between { expr, low, high, .. } if is_ctimestamp(expr) => {
            let (Some(first), Some(second)) = (seconds(low), seconds(high)) else { return };
            // The earlier time is the one that is more seconds ago, whichever is written first.
            if first < second {
                std::mem::swap(low, high);
            }
            make_seconds_ago(low);
            make_seconds_ago(high);
        }
        _ => {}
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Gt
            | BinaryOperator::GtEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Eq
    )
}

fn is_ctimestamp(expr: &Expr) -> bool {
    let ident = match expr {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(idents) => match idents.last() {
            Some(ident) => ident,
            None => return false,
        },
        Expr::Nested(expr) => return is_ctimestamp(expr),
        _ => return false,
    };
    ident.value.eq_ignore_ascii_case("ctimestamp")
}

fn seconds(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok().filter(|&seconds| seconds < SECONDS_AGO_BELOW),
            _ => None,
        },
        Expr::Nested(expr) => seconds(expr),
        _ => None,
    }
}

fn make_seconds_ago(expr: &mut Expr) {
    let seconds = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
    *expr = call("seconds_ago", seconds);
}

/// Casts to types that only PostgreSQL has.
fn address(expr: &mut Expr) {
    let Expr::Cast { expr: of, data_type, .. } = expr else { return };
    let DataType::Custom(name, _) = data_type else { return };
    let is = |wanted: &str| name.to_string().eq_ignore_ascii_case(wanted);
    if is("cidr") || (is("inet") && is_network(of)) {
        *expr = of.as_ref().clone();
    } else if is("inet") {
        *expr = call("inet", of.as_ref().clone());
    }
}

fn is_network(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::SingleQuotedString(text) if text.contains('/')))
}

fn call(name: &str, argument: Expr) -> Expr {
    let args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))];
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
