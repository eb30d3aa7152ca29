//! The analyzer's part of normalisation: aggregates get the columns that they need beside what the user wrote.
//!
//! - `f_sum(x)`, `f_count(x)`, `f_avg(x)` get `sample_rate`, the error functions also `i_fast_weight`: the columns of
//!   these names with the qualifier of the columns in `x`. Where there is no argument it is that of the only table that
//!   has one. Where there is none, values count as they are.
//! - With `flow.normalise` (the default) `sum` and `avg` over counters and `count(*)` over a flow table's rows become
//!   `f_sum`, `f_avg`, `f_count`.
//! - A value that is itself the result of an aggregate is no longer a row's: it is never multiplied again.
//!
//! It runs before types are coerced, and output columns keep their names.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, TableReference, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan, WindowFunctionDefinition, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::aggregate::groups::WHOLE;
use crate::aggregate::stand_in::StandIn;
use crate::aggregate::weighted::{Kind, Weighted};
use crate::counter::is_counter;
use crate::origin::{are_rows, is_of_rows};
use crate::settings::FlowSettings;

/// The columns that normalisation looks for.
pub(crate) const SAMPLE_RATE: &str = "sample_rate";
pub(crate) const FAST_WEIGHT: &str = "i_fast_weight";

#[derive(Debug)]
pub(crate) struct Normalise;

impl AnalyzerRule for Normalise {
    fn name(&self) -> &str {
        "flow_normalise"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let normalise = FlowSettings::of(config).normalise;
        plan.transform_up_with_subqueries(|plan| rewrite(plan, normalise)).map(|plan| plan.data)
    }
}

fn rewrite(plan: LogicalPlan, normalise: bool) -> Result<Transformed<LogicalPlan>> {
    let (input, is_window) = match &plan {
        LogicalPlan::Aggregate(aggregate) => (Arc::clone(&aggregate.input), false),
        LogicalPlan::Window(window) => (Arc::clone(&window.input), true),
        _ => return Ok(Transformed::no(plan)),
    };
    let scope = Scope { input: &input, normalise, is_window };
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let expr = expr.transform_up(|expr| scope.rewrite(expr))?;
        Ok(expr.update_data(|expr| name.restore(expr)))
    })?;
    if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
}

/// What the expressions of a node can see.
struct Scope<'a> {
    input: &'a LogicalPlan,
    normalise: bool,
    is_window: bool,
}

/// What an aggregate becomes.
type Resolved = Option<(Arc<AggregateUDF>, Vec<Expr>)>;

impl Scope<'_> {
    fn rewrite(&self, expr: Expr) -> Result<Transformed<Expr>> {
        match expr {
            Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
                match self.resolve(&func, &params.args, params.distinct)? {
                    None => Ok(Transformed::no(Expr::AggregateFunction(AggregateFunction { func, params }))),
                    Some((func, args)) => {
                        params.args = args;
                        Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
                    }
                }
            }
            Expr::WindowFunction(mut window) => {
                let WindowFunction { fun: WindowFunctionDefinition::AggregateUDF(func), params } =
                    window.as_ref()
                else {
                    return Ok(Transformed::no(Expr::WindowFunction(window)));
                };
                let Some((func, args)) = self.resolve(func, &params.args, params.distinct)? else {
                    return Ok(Transformed::no(Expr::WindowFunction(window)));
                };
                window.fun = WindowFunctionDefinition::AggregateUDF(func);
                window.params.args = args;
                Ok(Transformed::yes(Expr::WindowFunction(window)))
            }
            other => Ok(Transformed::no(other)),
        }
    }

    fn resolve(&self, func: &Arc<AggregateUDF>, args: &[Expr], distinct: bool) -> Result<Resolved> {
        let implementation = func.inner();
        if let Some(weighted) = implementation.downcast_ref::<Weighted>() {
            if distinct {
                return plan_err!("{} takes no DISTINCT", func.name());
            }
            return self.resolve_weighted(weighted.kind, weighted.is_plain, func, args);
        }
        if let Some(stand_in) = implementation.downcast_ref::<StandIn>() {
            let args = if args.is_empty() { vec![lit(1_i64)] } else { args.to_vec() };
            return Ok(Some((Arc::clone(&stand_in.target), args)));
        }
        if !self.normalise || distinct {
            return Ok(None);
        }
        match (func.name(), args) {
            ("avg", [value]) if is_counter(value) => self.resolve_weighted(Kind::Mean, true, func, args),
            ("count", [Expr::Literal(one, _)]) if !one.is_null() && are_rows(self.input) => Ok(self.rows()),
            _ => Ok(None),
        }
    }

    /// Rows, each as many as its rate says; None if there is no rate, or there are several.
    fn rows(&self) -> Resolved {
        match self.all(SAMPLE_RATE).as_slice() {
            [rate] if self.is_of_rows(rate) => Some((self.weighted(Kind::Rows, true), vec![rate.clone()])),
            _ => None,
        }
    }

    fn resolve_weighted(
        &self,
        kind: Kind,
        is_plain: bool,
        func: &Arc<AggregateUDF>,
        args: &[Expr],
    ) -> Result<Resolved> {
        match (kind, args) {
            (Kind::Rows, _) | (_, [_, _, ..]) => Ok(None),
            (Kind::SumError | Kind::CountError, _) => {
                let value = match (kind, args) {
                    (Kind::SumError, [value]) => value.clone(),
                    _ => lit(1.0_f64),
                };
                let rate = self.factor(SAMPLE_RATE, func, args)?.unwrap_or_else(|| lit(WHOLE));
                let weight = self.factor(FAST_WEIGHT, func, args)?.unwrap_or_else(|| lit(WHOLE));
                Ok(Some((self.weighted(kind, false), vec![value, rate, weight])))
            }
            (Kind::Count, []) => match self.factor(SAMPLE_RATE, func, args)? {
                Some(rate) => Ok(Some((self.weighted(Kind::Rows, false), vec![rate]))),
                None => Ok(Some((count_udaf(), vec![lit(1_i64)]))),
            },
            (_, [value]) => {
                let rate =
                    if is_plain && !self.normalise { None } else { self.factor(SAMPLE_RATE, func, args)? };
                match rate {
                    Some(rate) => Ok(Some((self.weighted(kind, is_plain), vec![value.clone(), rate]))),
                    None => Ok(None),
                }
            }
            (_, []) => Ok(None),
        }
    }

    /// Windows keep the plain names: two expressions of a window that become one and the same are not planned.
    fn weighted(&self, kind: Kind, is_plain: bool) -> Arc<AggregateUDF> {
        let weighted = if is_plain && self.is_window { Weighted::plain(kind) } else { Weighted::new(kind) };
        Arc::new(weighted.into())
    }

    /// The column of this name that belongs to the columns of the arguments.
    fn factor(&self, name: &str, func: &AggregateUDF, args: &[Expr]) -> Result<Option<Expr>> {
        let columns: Vec<&Column> = args.iter().flat_map(Expr::column_refs).collect();
        if !columns.iter().all(|column| is_of_rows(self.input, column)) {
            return Ok(None);
        }
        let mut found = if columns.is_empty() {
            if args.is_empty() { self.all(name) } else { Vec::new() }
        } else {
            let mut qualifiers: Vec<&Option<TableReference>> =
                columns.iter().map(|column| &column.relation).collect();
            qualifiers.sort_unstable();
            qualifiers.dedup();
            qualifiers.into_iter().filter_map(|qualifier| self.one(qualifier.as_ref(), name)).collect()
        };
        found.retain(|factor| self.is_of_rows(factor));
        if found.len() > 1 {
            let names: Vec<String> = found.iter().map(ToString::to_string).collect();
            return plan_err!(
                "{} could be normalised by any of {}: name one table",
                func.name(),
                names.join(", ")
            );
        }
        Ok(found.pop())
    }

    fn is_of_rows(&self, factor: &Expr) -> bool {
        matches!(factor, Expr::Column(column) if is_of_rows(self.input, column))
    }

    fn schema(&self) -> &DFSchema {
        self.input.schema()
    }

    fn one(&self, qualifier: Option<&TableReference>, name: &str) -> Option<Expr> {
        let index = self.schema().index_of_column_by_name(qualifier, name)?;
        Some(Expr::Column(Column::from(self.schema().qualified_field(index))))
    }

    fn all(&self, name: &str) -> Vec<Expr> {
        let fields = self.schema().iter().filter(|(_, field)| field.name() == name);
        fields.map(|field| Expr::Column(Column::from(field))).collect()
    }
}
