//! Any texts and parameters: what the check accepts is bound or refused with a reason, and means the same in each of its
//! forms; what it refuses does no harm when it is compiled all the same.
//!
//! The input is parts with NUL between them, which no text holds: the policy, then in any order boundaries, and parameters
//! as `=name=value`.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use doorward::compile::bind::{Requirements, boundary_warnings};
use doorward::compile::check::{self, Checked};
use doorward::compile::expand::{Bound, BoundBoundary, count, expand};
use doorward::compile::fill;
use doorward::compile::lower::{BindRejected, Bounds, Parameters, lower_bound};
use doorward::compile::program::{Condition, PolicyProgram};
use doorward::lang::ast::{BoundaryAst, PolicyAst};
use doorward::lang::diag::{Diagnostic, render};
use doorward::lang::{parse_boundary, parse_policy};
use doorward::model::catalogue::{Catalogue, PermissionNumber};
use doorward::model::id::BoundaryId;
use doorward::model::limits;
use libfuzzer_sys::fuzz_target;

/// Boundaries that are looked at: more only cost time.
const BOUNDARIES: usize = 3;

/// The catalogue that ships after it has lost every third entry, and every second condition of the others (rules R30).
static LATER: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut entries = Catalogue::default_entries().to_vec();
    let mut number = 0;
    entries.retain_mut(|entry| {
        number += 1;
        entry.conditions = entry.conditions.iter().step_by(2).cloned().collect();
        number % 3 != 0
    });
    Catalogue::from_entries(&entries)
});

/// A policy, its boundaries and parameters.
struct Texts<'t> {
    policy: &'t str,
    boundaries: Vec<&'t str>,
    parameters: Parameters,
}

/// The trees of texts.
struct Trees {
    policy: PolicyAst,
    boundaries: Vec<BoundaryAst>,
}

fuzz_target!(|input: &str| {
    let texts = Texts::of(input);
    let (trees, accepted) = Trees::checked(&texts);
    for strict in [false, true] {
        // A catalogue that comes later is not asked whether it accepts.
        let _ = trees.lower(strict, &texts.parameters, &LATER);
        let _ = expand(trees.bound(&trees.named(), strict), &LATER);
        let program = trees.lower(strict, &texts.parameters, Catalogue::shipped());
        if accepted {
            trees.answered(strict, &texts.parameters, &program);
        }
    }
});

// === impl Texts ===

impl<'t> Texts<'t> {
    fn of(input: &'t str) -> Self {
        let mut parts = input.split('\0');
        let policy = parts.next().unwrap_or_default();
        let (mut boundaries, mut parameters) = (Vec::new(), BTreeMap::new());
        for part in parts {
            match part.strip_prefix('=').and_then(|parameter| parameter.split_once('=')) {
                Some((name, value)) => drop(parameters.insert(name.to_owned(), value.to_owned())),
                None if boundaries.len() < BOUNDARIES => boundaries.push(part),
                None => {}
            }
        }
        Self { policy, boundaries, parameters }
    }
}

// === impl Trees ===

impl Trees {
    /// The trees, and whether every text is accepted.
    fn checked(texts: &Texts<'_>) -> (Self, bool) {
        let policy = check::policy(texts.policy, Catalogue::shipped());
        shown(texts.policy, &policy.diagnostics);
        let mut accepted = policy.is_ok();
        let boundary = |text: &&str| {
            let Checked { ast, diagnostics } = check::boundary(text, Catalogue::shipped());
            shown(text, &diagnostics);
            accepted &= !diagnostics.iter().any(Diagnostic::is_error);
            ast
        };
        let boundaries = texts.boundaries.iter().map(boundary).collect();
        (Self { policy: policy.ast, boundaries }, accepted)
    }

    fn lower(
        &self,
        strict: bool,
        parameters: &Parameters,
        catalogue: &Catalogue,
    ) -> Result<PolicyProgram, Vec<BindRejected>> {
        lower_bound(&self.policy, &Bounds { boundaries: &self.boundaries, strict }, parameters, catalogue)
    }

    fn named(&self) -> Vec<BoundBoundary<'_>> {
        let named = |(number, tree)| BoundBoundary { id: id(number), name: "boundary", tree };
        (0..).zip(&self.boundaries).map(named).collect()
    }

    fn bound<'a>(&'a self, boundaries: &'a [BoundBoundary<'a>], strict: bool) -> Bound<'a> {
        Bound { policy: &self.policy, boundaries, strict }
    }

    /// Texts that are accepted: the ways to look at a binding of them say the same.
    fn answered(&self, strict: bool, parameters: &Parameters, program: &Result<PolicyProgram, Vec<BindRejected>>) {
        let named = self.named();
        let bound = self.bound(&named, strict);
        let _ = boundary_warnings(bound, Catalogue::shipped());
        let requirements = Requirements::of(bound);
        let _ = (requirements.surplus(parameters), requirements.of_values(parameters));
        let misfits = requirements.misfits(parameters);
        assert_eq!(program.is_ok(), misfits.is_empty(), "{program:?} {misfits:?}");
        let Ok(program) = program else { return };
        assert!(program.retired.is_empty(), "{program:?}");
        let own = program.clauses.iter().flat_map(|clause| &clause.conditions);
        let added = program.bounds.iter().flat_map(|bound| &bound.conditions);
        assert!(own.chain(added).all(settles), "{program:?}");
        self.granted(bound, program);
        self.filled(strict, parameters, program);
    }

    /// The clauses are about what the expansion lists.
    fn granted(&self, bound: Bound<'_>, program: &PolicyProgram) {
        let catalogue = Catalogue::shipped();
        let Ok(expanded) = expand(bound, catalogue) else { return };
        assert_eq!(Ok(expanded.len()), count(bound, catalogue));
        let number = |name: &str| catalogue.number(name).expect("a permission that was accepted");
        let listed: BTreeSet<_> =
            expanded.iter().map(|it| (it.statement, number(it.permission.node.as_str()), it.boundary)).collect();
        let of_clause = |(number, clause): &(PermissionNumber, u32)| {
            let clause = &program.clauses[*clause as usize];
            (clause.statement, *number, program.bound(clause).map(|bound| id(bound.boundary)))
        };
        let compiled: BTreeSet<_> = program.about.iter().map(of_clause).collect();
        assert_eq!(compiled, listed);
    }

    /// With its parameters filled in, printed and read again, the binding is the same program.
    fn filled(&self, strict: bool, parameters: &Parameters, program: &PolicyProgram) {
        let policy = fill::policy(&self.policy, parameters).to_string();
        let boundaries: Vec<_> = self.boundaries.iter().map(|it| fill::boundary(it, parameters).to_string()).collect();
        // Values take more room than placeholders.
        let room = boundaries.iter().all(|text| text.len() <= limits::BOUNDARY_TEXT_BYTES);
        if !room || policy.len() > limits::POLICY_TEXT_BYTES {
            return;
        }
        let again = parse_policy(&policy);
        assert!(again.diagnostics.is_empty(), "`{policy}`: {:?}", again.diagnostics);
        let boundaries = boundaries.iter().map(|text| {
            let again = parse_boundary(text);
            assert!(again.diagnostics.is_empty(), "`{text}`: {:?}", again.diagnostics);
            again.ast
        });
        let again = Self { policy: again.ast, boundaries: boundaries.collect() };
        assert_eq!(again.lower(strict, parameters, Catalogue::shipped()).as_ref(), Ok(program), "`{policy}`");
    }
}

fn id(number: u16) -> BoundaryId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    BoundaryId::from_bytes(bytes)
}

/// Whether a condition can ever be anything but unknown, and is as flat as the engine expects.
fn settles(condition: &Condition) -> bool {
    match condition {
        Condition::Retired => false,
        Condition::AnyOf(alternatives) => {
            alternatives.len() > 1
                && alternatives.iter().all(|it| !matches!(it, Condition::AnyOf(_) | Condition::Retired))
        }
        _ => true,
    }
}

fn shown(text: &str, diagnostics: &[Diagnostic]) {
    for found in diagnostics {
        assert!(text.get(found.span.start..found.span.end).is_some(), "{found:?}");
    }
    let _ = render("text", text, diagnostics);
}
