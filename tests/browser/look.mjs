// Looks at the page that a visitor sees: its HTML, what axe finds, what every page must have and what no script may read.
import assert from 'node:assert/strict';

import axe from 'axe-core';
import { HtmlValidate } from 'html-validate';

const html = new HtmlValidate({
  extends: ['html-validate:recommended', 'html-validate:document', 'html-validate:a11y'],
  rules: {
    // Templates leave blanks where they leave something out.
    'no-trailing-whitespace': 'off',
    // What a page loads comes from the page's own origin.
    'require-sri': ['error', { target: 'crossorigin' }],
    'attribute-boolean-style': 'off',
    // <form role="search">, <ul role="list">: Safari tells no list without it.
    'no-redundant-role': 'off',
    // A filter has fields of one name for several values.
    'form-dup-name': 'off',
  },
});

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

// Words that stand in every text of a language, and in none of the other.
const WORDS = {
  fr: /(?<!\p{L})(le|les|votre|vos|une|est|mot de passe|se connecter)(?!\p{L})/iu,
  en: /(?<!\p{L})(the|your|is|are|password|log in)(?!\p{L})/iu,
};

export async function look(visitor, { language = 'fr', script = true } = {}) {
  const { page, answer, place } = visitor;
  const text = await answer.text();
  await valid_html(text, place);
  headers(answer.headers(), place);
  const facts = await page.evaluate(read_page);
  every_page(facts, language, place);
  if (script) await accessible(page, place);
}

async function valid_html(text, place) {
  const report = await html.validateString(text, place);
  const lines = text.split('\n');
  const found = report.results.flatMap(({ messages }) =>
    messages.map(({ ruleId, message, line }) => `${ruleId}: ${message}: ${lines[line - 1]?.trim()}`),
  );
  assert.deepEqual(found, [], `the HTML of ${place}`);
}

function headers(of, place) {
  // A login leads on to a site behind the gate: forms may, and nothing else.
  const policy = (of['content-security-policy'] ?? '').replace(/form-action 'self'( https:\/\/[a-z.]+\.example\.org)+;/, "form-action 'self';");
  assert.match(policy, /default-src '(none|self)'/, `the policy of ${place}`);
  assert.doesNotMatch(policy, /unsafe|\*|https?:|data:/, `the policy of ${place}`);
  for (const closed of ['base-uri', 'frame-ancestors', 'object-src']) {
    const is_closed = policy.includes(`${closed} 'none'`);
    // What has no source of its own has the one of all.
    const falls_back = closed === 'object-src' && policy.includes("default-src 'none'");
    assert.ok(is_closed || falls_back, `${closed} of ${place}: ${policy}`);
  }
  assert.match(of['cache-control'] ?? '', /no-store/, `the cache of ${place}`);
  assert.equal(of['x-content-type-options'], 'nosniff');
  assert.match(of['referrer-policy'] ?? '', /no-referrer|same-origin/);
  assert.match(of['content-type'], /^text\/html; ?charset=utf-8$/i);
}

// In the page: what is the same everywhere.
function read_page() {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const foreign = (element) => {
    const marked = element.closest('[lang]');
    return marked !== null && marked.lang !== document.documentElement.lang;
  };
  const words = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (data.trim() && !parentElement.closest('script, style, template') && !foreign(parentElement)) words.push(data);
  }
  const focusable = all('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]');
  const ids = all('[id]').map((element) => element.id);
  return {
    language: document.documentElement.lang,
    title: document.title,
    headings: all('h1').length,
    mains: all('main#content').length,
    skip: focusable[0]?.getAttribute('href'),
    languages: all('footer form[action="/preferences"] [name=language]').map((button) => button.value ?? ''),
    repeated: ids.filter((id, index) => ids.indexOf(id) !== index),
    text: words.join('\n'),
    shown: document.body.innerText,
    cookie: document.cookie,
    stored: localStorage.length + sessionStorage.length,
    tables: all('table').map((table) => ({
      caption: table.caption?.textContent.trim() ?? '',
      unscoped: table.querySelectorAll('th:not([scope])').length,
      headers: table.querySelectorAll('thead th').length,
    })),
    unzoned: all('time:not([datetime])').length,
    methods: all('form').filter((form) => form.method !== 'post').length,
  };
}

function every_page(facts, language, place) {
  const { title, headings, mains, skip, languages } = facts;
  assert.equal(facts.language, language, `the language of ${place}`);
  assert.match(title, /\S.*\S/, `the title of ${place}`);
  assert.deepEqual({ headings, mains, skip }, { headings: 1, mains: 1, skip: '#content' }, `the frame of ${place}`);
  assert.ok(languages.length > 0, `the languages at the foot of ${place}`);
  assert.deepEqual(facts.repeated, [], `ids of ${place}`);
  // TOK-17: nothing for a script to take away.
  assert.deepEqual([facts.cookie, facts.stored], ['', 0], `what scripts may read of ${place}`);
  for (const table of facts.tables) {
    assert.ok(table.caption && table.headers > 0 && table.unscoped === 0, `a table of ${place}: ${JSON.stringify(table)}`);
  }
  assert.equal(facts.unzoned, 0, `times of ${place} that machines cannot read`);
  well_worded(facts, language, place);
}

function well_worded({ text, shown, title }, language, place) {
  const other = language === 'fr' ? 'en' : 'fr';
  const said = `${title}\n${text}`;
  assert.match(said, WORDS[language], `the words of ${place}`);
  const foreign = said.split('\n').filter((line) => WORDS[other].test(line));
  assert.deepEqual(foreign, [], `words of ${place} that are not in its language`);
  assert.doesNotMatch(said, /\{\s*\$|\u2068|\u2069|\{\{|undefined|\bNone\b|Some\(/, `what is no text, at ${place}`);
  if (language === 'fr') {
    const breaks = shown.split('\n').filter((line) => /\S [;:!?»]|« /u.test(line));
    assert.deepEqual(breaks, [], `marks of ${place} that may begin a line`);
  }
}

export async function accessible(page, place, rules = { runOnly: RULES }) {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async (rules) => {
    const { violations } = await globalThis.axe.run(document, { ...rules, resultTypes: ['violations'] });
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(' ')}: ${failureSummary}`),
    );
  }, rules);
  assert.deepEqual(violations, [], `what axe finds at ${place}`);
}

// WCAG 1.4.10: nothing is reached by scrolling in two directions.
export async function fits({ page }, place) {
  const { wide, culprits } = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const over = [...document.body.querySelectorAll('*')].filter((element) => element.getBoundingClientRect().right > width + 1);
    const culprits = over.slice(0, 5).map((element) => element.outerHTML.slice(0, 120));
    return { wide: document.documentElement.scrollWidth - width, culprits };
  });
  assert.ok(wide <= 0, `${place} is ${wide} px too wide: ${culprits.join('\n')}`);
}
