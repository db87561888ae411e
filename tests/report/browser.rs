//! Pages in a real browser.

use super::driver::Browser;
use super::{finished, json, swept};
use std::fmt::Write;

/// The lowest contrast of texts with what is behind them, and which text that is.
const CONTRAST: &str = "
const light = (colour) => {
  const [red, green, blue] = colour.match(/[\\d.]+/g).map(Number).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!colour.endsWith(', 0)') && colour !== 'transparent') return colour;
  }
  return 'rgb(255, 255, 255)';
};
let worst = [99, ''];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.getClientRects().length || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(element.tagName) || element.disabled) continue;
  const style = getComputedStyle(element);
  const front = light(element.closest('svg') ? style.fill : style.color), back = light(behind(element));
  const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  if (contrast < worst[0]) worst = [contrast, `${element.tagName}.${element.className.baseVal ?? element.className} ${element.textContent.slice(0, 40)}`];
}
return worst;";

#[test]
fn the_table_has_the_numbers_of_the_result() {
    let Some(browser) = Browser::start() else { return };
    let (place, folder) = finished();
    let eval = json(&place, &format!("{folder}/result.json"))["evals"][0].clone();
    browser.open(&place.path(&format!("{folder}/report.html")), "");
    let cells = browser.texts("#scores tbody tr > *");
    let percent = |name: &str| format!("{:.1} %", eval[name].as_f64().unwrap() * 100.0);
    assert_eq!((cells[0].as_str(), cells[1].as_str()), ("test", "exact_match"));
    assert!(cells[2].starts_with(&percent("baseline")) && cells[3].starts_with(&percent("tuned")), "{cells:?}");
    assert_eq!((&cells[5], &cells[6]), (&percent("majority"), &"6".to_owned()));
    assert_eq!(browser.texts("title, h1").len(), 2);
    assert_eq!(browser.texts(".samples tbody tr").len(), 6);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// So many rows for the eval `test`: the first third is fixed, the second broken, the rest wrong before and after.
fn rows(count: usize) -> String {
    let mut text = String::new();
    for subject in ["baseline", "tuned"] {
        for row in 0..count {
            let correct = row % 3 == usize::from(subject == "baseline");
            let line = serde_json::json!({
                "subject": subject, "row": row, "prompt": format!("question number {row}.\n</script><script>document.title='broken'</script>"),
                "output": format!("<img src=x onerror=\"document.title='broken'\"> {subject} says {}", row * 7),
                "answer": "</div>\u{2028}<b>", "gold": "<!-- gold", "correct": correct,
            });
            writeln!(text, "{line}").unwrap();
        }
    }
    text
}

#[test]
fn thousands_of_hostile_rows_are_searched_and_filtered() {
    let Some(browser) = Browser::start() else { return };
    let (place, folder) = finished();
    place.write(&format!("{folder}/eval/test.jsonl"), &rows(6000));
    let spec = place.read(&format!("{folder}/spec.reft"))
        + "// </pre></code><img src=x onerror=\"document.title='broken'\">\n";
    place.write(&format!("{folder}/spec.reft"), &spec);
    place.reftc(&["report", "small"]).expect(0);
    let page = place.path(&format!("{folder}/report.html"));
    browser.open(&page, "");
    let count = || browser.texts("#count").remove(0);
    let drawn = || browser.texts(".samples tbody tr").len();
    assert!(count().starts_with("6000 of 6000 rows") && drawn() <= 50, "a page of them is drawn: {}", count());
    assert_eq!(browser.texts("#show button"), ["all 6000", "fixed 2000", "broken 2000", "right 2000", "wrong 4000"]);

    browser.click("[data-show=broken]");
    assert!(count().starts_with("2000 of 6000 rows"));
    browser.write("#search", "number 1233.");
    assert!(count().starts_with("0 of 6000"), "row 1233 is fixed: {}", count());
    browser.click("[data-show=all]");
    assert!(count().starts_with("1 of 6000") && drawn() == 1);
    assert_eq!(browser.texts(".samples tbody mark"), ["number 1233."]);

    // The address holds the view.
    let fragment = browser.run("return location.hash").as_str().unwrap().to_owned();
    assert_eq!(fragment, "#eval=test&search=number+1233.");
    browser.open(&page, "eval=test&show=broken&search=says+7&page=2");
    assert!(
        browser.texts("#pages")[0].contains("page 2 of ") && count().contains(" of 6000 rows, 13 to 24"),
        "{}",
        count()
    );
    assert_eq!(browser.texts("[aria-pressed=true]").len(), 1);
    browser.click("#pages button:last-child");
    assert!(browser.run("return location.hash").as_str().unwrap().contains("page=3"));

    // Hostile texts are texts.
    assert_eq!(browser.run("return document.querySelectorAll('img, section section, #samples b').length"), 0);
    assert_ne!(browser.run("return document.title"), "broken");
    assert!(browser.texts(".samples .text")[0].contains("</script><script>"));
    assert!(browser.texts(".spec")[0].contains("</pre></code><img src=x"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn pages_can_be_read_in_light_and_dark_on_narrow_screens_and_on_paper() {
    let Some(browser) = Browser::start() else { return };
    let place = swept();
    let page = place.path("runs/small/report.html");
    for scheme in ["light", "dark"] {
        for width in [1200, 390] {
            browser.prefer(scheme, width);
            browser.open(&page, "");
            let worst = browser.run(CONTRAST);
            assert!(worst[0].as_f64().unwrap() >= 4.5, "{scheme}: {worst}");
            let wide = browser.run("return document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(wide <= width as u64, "{wide} of {width}");
        }
        let ground = browser.run("return getComputedStyle(document.body).backgroundColor");
        let is_light = ground.as_str().unwrap().starts_with("rgb(25");
        assert_eq!(is_light, scheme == "light", "{scheme}: {ground}");
    }
    let pdf = browser.print();
    assert!(pdf.starts_with("JVBERi0") && pdf.len() > 20_000, "a PDF");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn plots_and_runs_answer() {
    let Some(browser) = Browser::start() else { return };
    let place = swept();
    browser.prefer("light", 1200);
    browser.open(&place.path("runs/small/report.html"), "");
    browser.run("document.querySelector('figure.plot svg').focus()");
    browser.write("#training figure.plot svg", "\u{e014}");
    let tips = browser.texts("#training .tip:not([hidden])");
    assert!(tips.len() == 1 && tips[0].contains("step 1, loss "), "{tips:?}");
    let dots = browser.run("return document.querySelectorAll('#efficiency svg circle.dot').length");
    assert_eq!(dots, 2, "seeds are one point");
    browser.run(
        "const runs = document.getElementById('run'); runs.selectedIndex = 2; runs.dispatchEvent(new Event('change'))",
    );
    let address = browser.run("return decodeURIComponent(location.hash.replaceAll('+', ' '))");
    assert!(address.as_str().unwrap().starts_with("#run=intervene.edit.rank = 4, seed = 1&"), "{address}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
