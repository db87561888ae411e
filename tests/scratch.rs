use reftc::source::Sources;
use reftc::store::cache::Cache;
use reftc::world::RealWorld;
use std::path::Path;
#[test]
fn scratch() {
    let path = std::env::var("SPEC").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut sources = Sources::default();
    let id = sources.add(Path::new(&path), text);
    let source = sources.file(id).unwrap();
    let (file, d) = reftc::syntax::parse(id, &source.text);
    let world = RealWorld::new(Cache::at("/tmp/rc".into()));
    let (spec, e) = reftc::check::check(&file, source, &world);
    for x in d.iter().chain(&e) {
        println!("{} {}", x.code.as_str(), x.message);
        for l in &x.labels { let (a, b) = source.line_column(l.span.start as usize); println!("   {a}:{b} [{}] {}", sources.text(l.span), l.text); }
        for h in &x.help { println!("   help: {h}"); }
    }
    println!("{} experiments", spec.experiments.len());
}
