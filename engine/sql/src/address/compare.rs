//! Comparisons of addresses with texts and with each other, and PostgreSQL's operators of containment, as plain
//! comparisons of columns, so that whoever prunes files by their statistics understands them.

use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Operator, lit, not, when};

use super::column::{Form, form, scalar};
use super::function::{Kind, call};
use super::{Address, MAPPED, MAPPED_BITS, Network, parse, to_ipv4};

/// The form of an expression that is an address.
pub(crate) fn form_of(expr: &Expr, schema: &DFSchema) -> Option<Form> {
    form(&expr.to_field(schema).ok()?.1)
}

/// The text of a literal.
pub(crate) fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => Some(text),
        Expr::Alias(alias) => text_of(&alias.expr),
        _ => None,
    }
}

fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|data_type| data_type.is_string())
}

/// `=`, `<` and the like of an address and something else; None if neither side is one, or both are of one form.
pub(crate) fn comparison(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    if !is_comparison(op) {
        return Ok(None);
    }
    match (form_of(left, schema), form_of(right, schema)) {
        (Some(form), None) => compare(left, form, op, right, schema),
        (None, Some(form)) => {
            let Some(op) = op.swap() else { return Ok(None) };
            compare(right, form, op, left, schema)
        }
        (Some(Form::Inet), Some(Form::Ipv4)) => Ok(Some(binary(left.clone(), op, inet(right)))),
        (Some(Form::Ipv4), Some(Form::Inet)) => Ok(Some(binary(inet(left), op, right.clone()))),
        _ => Ok(None),
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// `side` is what the address is compared with.
fn compare(address: &Expr, form: Form, op: Operator, side: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    if let Some(text) = text_of(side) {
        return compare_with(address, form, op, literal(text)?).map(Some);
    }
    if !is_text(side, schema) {
        return Ok(None);
    }
    let address = if form == Form::Ipv4 { inet(address) } else { address.clone() };
    Ok(Some(binary(address, op, inet(side))))
}

/// The address that a literal of a comparison is.
fn literal(text: &str) -> Result<Address> {
    if let Some(address) = parse(text) {
        return Ok(address);
    }
    match Network::parse(text) {
        Some(network) => match network.single() {
            Some(address) => Ok(address),
            None => plan_err!("'{text}' is a network: compare with <<= instead"),
        },
        None => plan_err!("'{text}' is no address"),
    }
}

fn compare_with(address: &Expr, form: Form, op: Operator, literal: Address) -> Result<Expr> {
    if form == Form::Inet {
        return Ok(binary(address.clone(), op, lit(scalar(literal))));
    }
    if let Some(literal) = to_ipv4(literal) {
        return Ok(binary(address.clone(), op, lit(literal)));
    }
    let below = MAPPED < literal;
    match op {
        Operator::Eq => constant(address, false),
        Operator::NotEq => constant(address, true),
        Operator::Lt | Operator::LtEq => constant(address, below),
        Operator::Gt | Operator::GtEq => constant(address, !below),
        _ => Ok(binary(inet(address), op, lit(scalar(literal)))),
    }
}

/// What is the same for each address, and unknown where there is none.
fn constant(address: &Expr, value: bool) -> Result<Expr> {
    when(address.clone().is_not_null(), lit(value)).end()
}

/// `BETWEEN` of an address.
pub(crate) fn between(between: &Between, schema: &DFSchema) -> Result<Option<Expr>> {
    let above = comparison(&between.expr, Operator::GtEq, &between.low, schema)?;
    let below = comparison(&between.expr, Operator::LtEq, &between.high, schema)?;
    if above.is_none() && below.is_none() {
        return Ok(None);
    }
    let plain = |op, side: &Expr| binary((*between.expr).clone(), op, side.clone());
    let above = above.unwrap_or_else(|| plain(Operator::GtEq, &between.low));
    let below = below.unwrap_or_else(|| plain(Operator::LtEq, &between.high));
    let both = above.and(below);
    Ok(Some(if between.negated { not(both) } else { both }))
}

/// `IN (…)` of an address. A network in the list stands for its addresses.
pub(crate) fn in_list(list: &InList, schema: &DFSchema) -> Result<Option<Expr>> {
    let Some(form) = form_of(&list.expr, schema) else { return Ok(None) };
    if !list.list.iter().any(|item| text_of(item).is_some() || form_of(item, schema) != Some(form)) {
        return Ok(None);
    }
    let mut items = Vec::with_capacity(list.list.len());
    let mut others = Vec::new();
    for item in &list.list {
        match (text_of(item), form_of(item, schema)) {
            (Some(text), _) => match Network::parse(text) {
                None => return plan_err!("'{text}' is no address"),
                Some(network) => match (network.single(), form) {
                    (None, _) => others.push(range(&list.expr, form, network, false)?),
                    (Some(address), Form::Inet) => items.push(lit(scalar(address))),
                    (Some(address), Form::Ipv4) => items.extend(to_ipv4(address).map(lit)),
                },
            },
            (None, Some(same)) if same == form => items.push(item.clone()),
            (None, _) if item.get_type(schema).is_ok_and(|data_type| data_type.is_null()) => {
                items.push(item.clone());
            }
            (None, _) => match comparison(&list.expr, Operator::Eq, item, schema)? {
                Some(equal) => others.push(equal),
                None => return Ok(None),
            },
        }
    }
    let mut found = Vec::new();
    if !items.is_empty() {
        found.push(list.expr.as_ref().clone().in_list(items, false));
    }
    found.extend(others);
    if found.len() > NETWORKS_MAX {
        return plan_err!("{} networks in a list: {NETWORKS_MAX} are the most", found.len());
    }
    let any = match any_of(found) {
        Some(any) => any,
        None => constant(&list.expr, false)?,
    };
    Ok(Some(if list.negated { not(any) } else { any }))
}

/// Networks in the list of an `IN`, each of which is two comparisons.
const NETWORKS_MAX: usize = 1000;

/// As a tree that is no deeper than it must be.
fn any_of(mut tests: Vec<Expr>) -> Option<Expr> {
    while tests.len() > 1 {
        let mut pairs = tests.into_iter();
        let mut halved = Vec::new();
        while let Some(test) = pairs.next() {
            halved.push(match pairs.next() {
                Some(other) => test.or(other),
                None => test,
            });
        }
        tests = halved;
    }
    tests.pop()
}

/// Whether a network contains an address, or another network, as one of PostgreSQL's operators asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Containment {
    /// `<<`: contained and not equal.
    Within,
    /// `<<=`.
    WithinOrEqual,
    /// `>>`.
    Contains,
    /// `>>=`.
    ContainsOrEqual,
    /// `&&`: one contains the other.
    Overlaps,
}

impl Containment {
    fn symbol(self) -> &'static str {
        match self {
            Containment::Within => "<<",
            Containment::WithinOrEqual => "<<=",
            Containment::Contains => ">>",
            Containment::ContainsOrEqual => ">>=",
            Containment::Overlaps => "&&",
        }
    }
}

/// None if neither side is an address or a text that is one.
pub(crate) fn containment(
    left: &Expr,
    op: Containment,
    right: &Expr,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    use Containment::{Contains, ContainsOrEqual, Overlaps, Within, WithinOrEqual};
    let is_address = |expr: &Expr| form_of(expr, schema).is_some();
    let (inner, outer, strict) = match op {
        Within => (left, right, true),
        WithinOrEqual => (left, right, false),
        Contains => (right, left, true),
        ContainsOrEqual => (right, left, false),
        Overlaps if is_address(left) => (left, right, false),
        Overlaps => (right, left, false),
    };
    if let (Some(inner), Some(outer)) = (text_of(inner), text_of(outer)) {
        let name = format!("{left} {} {right}", op.symbol());
        return Ok(networks(inner, op, outer).map(|found| lit(found).alias(name)));
    }
    let Some(form) = form_of(inner, schema) else {
        return contained_in_address(inner, outer, strict, schema);
    };
    if let Some(text) = text_of(outer) {
        let Some(network) = Network::parse(text) else { return plan_err!("'{text}' is no network") };
        return range(inner, form, network, strict).map(Some);
    }
    if is_address(outer) {
        // Two addresses are two networks of full length.
        if strict {
            return constant(inner, false).map(Some);
        }
        let equal = comparison(inner, Operator::Eq, outer, schema)?;
        return Ok(Some(equal.unwrap_or_else(|| inner.clone().eq(outer.clone()))));
    }
    if !is_text(outer, schema) {
        return Ok(None);
    }
    let within = call(Kind::InNetwork, vec![inner.clone(), outer.clone()]);
    if !strict {
        return Ok(Some(within));
    }
    let masklen = |expr: &Expr| call(Kind::Masklen, vec![expr.clone()]);
    Ok(Some(within.and(masklen(outer).lt(masklen(inner)))))
}

/// A network within an address: only the address itself is.
fn contained_in_address(inner: &Expr, outer: &Expr, strict: bool, schema: &DFSchema) -> Result<Option<Expr>> {
    let (Some(form), Some(text)) = (form_of(outer, schema), text_of(inner)) else { return Ok(None) };
    match Network::parse(text) {
        None => plan_err!("'{text}' is no network"),
        Some(network) => match network.single().filter(|_| !strict) {
            Some(address) => compare_with(outer, form, Operator::Eq, address).map(Some),
            None => constant(outer, false).map(Some),
        },
    }
}

/// Two literals; None if one is no network.
fn networks(inner: &str, op: Containment, outer: &str) -> Option<bool> {
    let (inner, outer) = (Network::parse(inner)?, Network::parse(outer)?);
    Some(match op {
        Containment::Within | Containment::Contains => outer.contains_network(inner) && inner != outer,
        Containment::WithinOrEqual | Containment::ContainsOrEqual => outer.contains_network(inner),
        Containment::Overlaps => outer.contains_network(inner) || inner.contains_network(outer),
    })
}

/// Whether an address is in a network, as comparisons.
pub(crate) fn range(address: &Expr, form: Form, network: Network, strict: bool) -> Result<Expr> {
    if let Some(single) = network.single() {
        if strict {
            return constant(address, false);
        }
        return compare_with(address, form, Operator::Eq, single);
    }
    let within = |first: Expr, last: Expr| address.clone().gt_eq(first).and(address.clone().lt_eq(last));
    if form == Form::Ipv4 {
        let (Some(first), Some(last)) = (to_ipv4(network.first()), to_ipv4(network.last())) else {
            return constant(address, false);
        };
        return if network.bits() == 0 { constant(address, true) } else { Ok(within(lit(first), lit(last))) };
    }
    let inet = |address| lit(scalar(address));
    let found = within(inet(network.first()), inet(network.last()));
    if !network.spans_ipv4() {
        return Ok(found);
    }
    let last_ipv4 = MAPPED | (u128::MAX >> MAPPED_BITS);
    Ok(found.and(not(within(inet(MAPPED), inet(last_ipv4)))))
}

fn inet(expr: &Expr) -> Expr {
    call(Kind::Inet, vec![expr.clone()])
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}
