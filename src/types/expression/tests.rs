//! What expressions mean, and what hostile ones cost.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::*;

fn dep() -> Json {
    json!({"metadata": {"generation": 3, "labels": {"tier": "db"}},
        "status": {"deployed": {"version": "1.2.0", "revision": 7}, "share": 0.5,
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Tested", "status": "False"}]}})
}

fn holds(source: &str) -> Result<bool, String> {
    let (own, dep) = (json!({"spec": {"releaseVersion": "1.x"}}), dep());
    let expression = Expression::parse(source, &["self", "dep"]).map_err(|error| error.to_string())?;
    expression.holds(&[("self", &own), ("dep", &dep)]).map_err(|error| error.to_string())
}

#[test]
fn expressions_mean_what_cel_means() {
    for source in [
        "dep.status.deployed.version == '1.2.0'",
        "dep.status.deployed.version.startsWith(\"1.\") && self.spec.releaseVersion != '2.x'",
        "has(dep.status.deployed) && !has(dep.status.operation)",
        "dep.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')",
        "!dep.status.conditions.all(c, c.status == 'True')",
        "dep.status.conditions.exists_one(c, c.status == 'False')",
        "dep.status.conditions.filter(c, c.status == 'True').map(c, c.type) == ['Ready']",
        "size(dep.status.conditions) == 2 && dep.status.conditions.size() > 1 && 'añb'.size() == 3",
        "dep.metadata.labels['tier'] in ['db', 'cache'] && 'tier' in dep.metadata.labels",
        "dep.metadata.labels.all(key, key.size() == 4)",
        "dep.status.deployed.revision + 1 == 8 && 7 % 4 == 3 && 7 / 2 == 3 && -2 * 3 == -6 && 2 - 3 - 4 == -5",
        "dep.status.share + 0.5 == 1 && dep.status.share < 1 && 1 != '1' && 'a' < 'b' && 2.0 >= 2",
        "dep.metadata.generation > 2 ? true : dep.no.such.field",
        "int('12') == 12 && string(12) == '12' && string(true) == 'true' && 'a' + 'b' + 'c' == 'abc'",
        "[1, 2] + [3] == [1, 2, 3] && [[1], []] == [[1], []] && [1] != [1, 2] && dep.metadata == dep.metadata",
        "'it\\'s\\n' != \"it's\" && null == null && (1 < 2) == true && dep.status.conditions[1].type == 'Tested'",
        // A part that decides wins over one without an answer, on either side.
        "dep.no == 1 || true",
        "!(dep.no == 1 && false)",
        "[1, 'a'].exists(x, x > 0)",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn what_has_no_answer_is_said() {
    for (source, words) in [
        ("dep.status.missing == 1", "there is no field \"missing\""),
        ("has(dep.missing.deeper)", "there is no field \"missing\""),
        ("dep.metadata.labels['other'] == 'x'", "there is no field \"other\""),
        ("dep.status.conditions[2].type == 'x'", "there is no element 2"),
        ("dep.status.conditions[-1].type == 'x'", "there is no element -1"),
        ("dep.status.deployed.version", "it gives a text, not true or false"),
        ("dep.status.deployed.version > 1", "a comparison cannot be used with a whole number"),
        ("dep.metadata.generation.all(x, true)", "a macro cannot be used with a whole number"),
        ("dep.metadata.generation.field", "a field cannot be used with a whole number"),
        ("1 / 0 == 1", "divided by zero"),
        ("9223372036854775807 + 1 > 0", "too large"),
        ("1 + 1.0 == 2.0", "arithmetic cannot be used with a number"),
        ("dep.no == 1 && true", "there is no field \"no\""),
        ("[1, 'a'].all(x, x > 0)", "a comparison cannot be used with"),
    ] {
        let error = holds(source).unwrap_err();
        assert!(error.contains(words), "{source}: {error}");
    }
}

#[test]
fn mistakes_are_found_at_their_place() {
    for (source, words) in [
        ("", "at character 1: a value is missing before the end"),
        ("dep.status ==", "at character 14: a value is missing"),
        ("dep.status = 1", "at character 12: '=' means nothing here"),
        ("dpe.status == 1", "at character 1: \"dpe\" is not known; there are self, dep"),
        ("x > 1 && [1].all(x, x > 0)", "at character 1: \"x\" is not known"),
        ("(true", "at character 6: \")\" is missing before the end"),
        ("true true", "at character 6: \"true\" does not belong here"),
        ("'open", "at character 1: this text has no end"),
        ("'\\q' == ''", "at character 2: \\q is not known"),
        ("dep.status.matches('a')", "at character 12: there is no function \"matches\""),
        ("timestamp('x') == 1", "at character 1: there is no function \"timestamp\""),
        ("has(dep)", "at character 1: has() takes one field"),
        ("[1].all(true, true)", "at character 9: \"true\" cannot be a name"),
        ("'a'.startsWith()", "at character 5: startsWith takes 1"),
        ("1u == 1", "at character 1: only decimal numbers"),
        ("r'raw' == ''", "at character 1: only plain texts"),
        ("99999999999999999999 > 1", "at character 1: this number is too large"),
        ("dep.", "at character 5: a name is missing"),
        (".", "at character 1: a value is missing"),
        ("{'a': 1} == 1", "at character 1: '{' means nothing here"),
    ] {
        let error = holds(source).unwrap_err();
        assert!(error.contains(words), "{source}: {error}");
    }
}

/// Runs on the smallest stack that a thread of the runtime has.
fn on_a_runtime_thread(source: String) -> (Result<bool, String>, Duration) {
    let run = move || {
        let began = Instant::now();
        (holds(&source), began.elapsed())
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap()
}

#[test]
fn hostile_expressions_end_early() {
    let round = |open: &str, close: &str, n: usize| format!("{}true{}", open.repeat(n), close.repeat(n));
    let ten = "[0,0,0,0,0,0,0,0,0,0]";
    let loops = |n: usize| {
        let open: String = (0..n).flat_map(|i| [ten.to_owned(), format!(".all(v{i},")]).collect();
        format!("{open}true{}", ")".repeat(n))
    };
    let double = |n: usize| format!("['aaaaaaaaaaaaaaaa']{}.size()>0", ".map(a,a+a)".repeat(n));
    for (source, words) in [
        (round("(", ")", 500), "nested more than"),
        (round("[", "]", 500), "nested more than"),
        (format!("{}true", "!".repeat(1000)), "operations depend"),
        (format!("1{}==1", "+1".repeat(500)), "operations depend"),
        (format!("dep{}==1", ".a".repeat(500)), "operations depend"),
        (format!("{}1", "true?1:".repeat(145)), "nested more than"),
        ("x".repeat(1025), "longer than 1024"),
        (loops(6), "steps"),
        (loops(20), "steps"),
        (double(24), "steps"),
        (format!("{ten}.map(a,{ten}.map(b,{ten}.map(c,{ten}.map(d,{ten})))).size() > 0"), "steps"),
        // Too many steps are not passed over because another part decides.
        (format!("{} || true", loops(6)), "steps"),
    ] {
        let (answer, took) = on_a_runtime_thread(source.clone());
        let error = answer.unwrap_err();
        assert!(error.contains(words), "{source}: {error}");
        assert!(took < Duration::from_secs(1), "{took:?} for {source}");
        println!("{took:?} {}", source.get(..40).unwrap_or(&source));
    }
}

#[test]
fn large_objects_cost_no_more_than_the_budget() {
    let history: Vec<Json> = (0..20_000).map(|n| json!({"revision": n, "text": "x".repeat(100)})).collect();
    let dep = json!({"status": {"history": history, "text": "y".repeat(1 << 20)}});
    for source in [
        "dep.status.history.all(a, dep.status.history.exists(b, a == b))",
        "dep.status.history.all(a, dep.status.text.contains('z') || true)",
        "dep.status.history.map(a, dep.status.text + dep.status.text).size() > 0",
        "dep.status.history.all(a, dep.status == dep.status)",
    ] {
        let began = Instant::now();
        let answer = Expression::parse(source, &["dep"]).unwrap().holds(&[("dep", &dep)]);
        assert_eq!(answer, Err(EvaluationError::TooLong), "{source}");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?} for {source}", began.elapsed());
    }
}
