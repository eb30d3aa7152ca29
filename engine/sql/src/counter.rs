//! Which expressions are counters: numbers of bytes and packets, that sampling makes smaller.

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Counters by name: the tables' names and those of this project's records.
const COUNTERS: [&str; 12] = [
    "in_bytes",
    "out_bytes",
    "both_bytes",
    "in_pkts",
    "out_pkts",
    "both_pkts",
    "forward_bytes",
    "reverse_bytes",
    "forward_packets",
    "reverse_packets",
    "forward_pkts",
    "reverse_pkts",
];

/// A counter, a cast of one, a sum of several, or a multiple of one by a constant.
pub(crate) fn is_counter(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => COUNTERS.contains(&column.name.as_str()),
        Expr::Cast(cast) => is_counter(&cast.expr),
        Expr::TryCast(cast) => is_counter(&cast.expr),
        Expr::Alias(alias) => is_counter(&alias.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Plus => is_counter(left) && is_counter(right),
            Operator::Multiply => {
                (is_counter(left) && is_constant(right)) || (is_constant(left) && is_counter(right))
            }
            Operator::Divide => is_counter(left) && is_constant(right),
            _ => false,
        },
        _ => false,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_, _) => true,
        Expr::Cast(cast) => is_constant(&cast.expr),
        Expr::Negative(expr) => is_constant(expr),
        _ => false,
    }
}
