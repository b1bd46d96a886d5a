// What the RGAA asks of every page and a program can see, beyond axe and html-validate; docs/accessibility.md names the criteria.
import assert from 'node:assert/strict';

import { accessible, look } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { api_session } from './visitor.mjs';

const PUBLIC = ['/login', '/privacy', '/accessibility', '/setup', '/reset'];
const OWN = ['/account', '/account/sessions', '/account/sessions?state=all', '/account/attempts', '/account/password',
  '/account/export', '/logout', '/privacy', '/accessibility'];
const RESET = `/reset?token=${process.env.VIGIE_RESET_TOKEN}`;
// What pages listen to: no key (12.10), no pointer but by `click` (13.11), no movement (13.12), nothing on hovering (10.13).
const LISTENED = ['click', 'pageshow', 'submit'];

await scenario(async ({ step, visitor }) => {
  await api_session('rose', { device_name: 'Téléphone de Rose' });
  // The time tells two sessions of one device apart.
  await new Promise((done) => setTimeout(done, 1100));
  await api_session('rose', { device_name: 'Téléphone de Rose' });

  for (const [name, options] of [
    ['français, clair', { locale: 'fr-FR', colorScheme: 'light' }],
    ['english, dark', { locale: 'en-GB', colorScheme: 'dark' }],
    ['petit écran', { locale: 'fr-FR', viewport: { width: 320, height: 640 } }],
  ]) {
    const rose = await visitor({ reducedMotion: 'reduce', ...options });
    await rose.context.addInitScript(note_listeners);
    const titles = new Map();
    const footers = new Set();

    const criteria = async (place) => {
      const listened = await rose.page.evaluate(() => [...globalThis.listened]);
      assert.deepEqual(listened.filter((kind) => !LISTENED.includes(kind)), [], `what ${place} listens to`);
      await look(rose, { language: options.locale.slice(0, 2) });
      assert.deepEqual(await rose.page.evaluate(faults), [], `${name}: ${place}`);
      assert.deepEqual(await rose.page.evaluate(pale), [], `3.3: what hardly stands out from its ground, ${name}: ${place}`);
      await accessible(rose.page, place, { runOnly: { type: 'rule', values: ['target-size'] } });
      const { title, footer } = await rose.page.evaluate(() => ({
        title: document.title,
        footer: [...document.querySelectorAll('footer a')].map((link) => `${link.textContent} ${link.href}`).join('\n'),
      }));
      const page = place.split('?')[0];
      assert.ok((titles.get(title) ?? page) === page, `8.6: ${page} and ${titles.get(title)} have one title: ${title}`);
      titles.set(title, page);
      footers.add(footer);
      assert.equal(rose.context.pages().length, 1, '13.2: no window opens');
    };

    await step(`${name}: the pages for everybody`, async () => {
      for (const path of PUBLIC) {
        await rose.go(path);
        await criteria(path);
      }
      await rose.go(RESET);
      rose.is_at('/reset');
      await look(rose, { language: options.locale.slice(0, 2) });
      assert.equal(await rose.page.locator('main input[autocomplete="new-password"]').count(), 2);
      assert.deepEqual(await rose.page.evaluate(faults), [], `${name}: the form of /reset`);
    });

    await step(`${name}: a refused form says so in its title, and its fields name what is wrong`, async () => {
      await rose.go('/login');
      await rose.log_in('rose', 'trois lapins bleus dorment');
      assert.match(await rose.page.title(), /^(Erreur|Error) – /, '8.6');
      assert.deepEqual(await rose.page.evaluate(faults), [], `${name}: a refused login`);
      await rose.log_in('rose');
      await rose.go('/account/password');
      await rose.send('/account/password', { current_password: 'faux', new_password: 'court', new_password_again: 'court' });
      assert.match(await rose.page.title(), /^(Erreur|Error) – /, '8.6');
      assert.deepEqual(await rose.page.evaluate(faults), [], `${name}: a refused password`);
      const wrong = rose.page.locator('main [aria-invalid=true]');
      assert.ok((await wrong.count()) > 0, '11.10: the field that is wrong');
      for (const field of await wrong.all()) {
        const said = await field.evaluate((element) =>
          element.getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id)?.innerText ?? '').join(' '));
        assert.match(said, /\S/, '11.10: what is wrong with it');
      }
    });

    await step(`${name}: the own pages`, async () => {
      for (const path of OWN) {
        await rose.go(path);
        await criteria(path);
      }
      assert.equal(footers.size, 1, '12.2, WCAG 3.2.6: the same links at the foot of every page');
    });

    await step(`${name}: tables are tables in the accessibility tree`, async () => {
      await rose.go('/account/sessions');
      const tree = await rose.page.locator('main table').ariaSnapshot();
      assert.match(tree, /^- table "\S.*":/, tree);
      assert.equal(tree.match(/- columnheader /g)?.length, 6, tree);
      assert.ok(tree.match(/- rowheader /g)?.length >= 3, tree);
      await rose.page.screenshot({ path: picture(`rgaa-${name.replace(/\W+/g, '-')}`), fullPage: true });
    });

    await step(`${name}: the console`, async () => {
      const root = await visitor({ reducedMotion: 'reduce', ...options });
      const { session } = await api_session('rose');
      await root.logged_in_to_console('root');
      for (const path of ['/console/sessions', '/console/sessions?user=rose&not_state=ended', '/console/sessions?ip=x&role=agent',
        `/console/sessions/${session.id}`, `/console/sessions/${session.id}/end`]) {
        await root.go(path);
        const language = options.locale.slice(0, 2);
        await look(root, { language });
        assert.deepEqual(await root.page.evaluate(faults), [], `${name}: ${path}`);
        assert.deepEqual(await root.page.evaluate(pale), [], `3.3: what hardly stands out from its ground, ${name}: ${path}`);
        // With everything unfolded.
        await accessible(root.page, path);
        await root.page.screenshot({ path: picture(`console-${name.replace(/\W+/g, '-')}${path.replace(session.id, 'id').replace(/\W+/g, '-')}`), fullPage: true });
      }
      await root.context.close();
    });

    await step(`${name}: choosing in a list changes nothing by itself`, async () => {
      const before = rose.page.url();
      await rose.page.evaluate(() => (globalThis.is_same_page = true));
      await rose.page.locator('#time-zone').selectOption('Pacific/Tahiti');
      await rose.page.waitForTimeout(200);
      assert.equal(rose.page.url(), before);
      assert.ok(await rose.page.evaluate(() => globalThis.is_same_page), '7.4');
    });
  }
});

function note_listeners() {
  globalThis.listened = new Set();
  const add = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (kind, ...rest) {
    globalThis.listened.add(kind);
    return add.call(this, kind, ...rest);
  };
}

// In the page: what does not hold, each with the number of its criterion.
function faults() {
  const found = [];
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const text = (element) => element.textContent.replace(/\s+/g, ' ').trim();
  const name = (element) => element.getAttribute('aria-label') ?? text(element);
  const fault = (criterion, element, why) => found.push(`${criterion} ${why}: ${element.outerHTML?.slice(0, 160) ?? element}`);
  const none = (criterion, selector, why) => all(selector).forEach((element) => fault(criterion, element, why));
  const shown = (element) => element.checkVisibility();
  // What is folded is looked at as well.
  for (const folded of all('main details')) folded.open = true;

  none('2.1', 'iframe, frame', 'a frame');
  none('4', 'audio, video, canvas, object, embed, body svg', 'a medium');
  none('8.9', 'font, center, big, tt, strike, u, blink, marquee', 'an element for looks');
  none('10.1', '[style], [align], [bgcolor], [border], [cellpadding], style', 'looks in the page itself');
  none('8.9', 'p:empty, li:empty, h1:empty, h2:empty, h3:empty', 'an empty element');
  none('10.13', 'body [title]', 'a text that appears on hovering');
  none('12.8', '[tabindex]:not([tabindex="0"], [tabindex="-1"])', 'an order of its own');
  none('12.10', '[accesskey]', 'a key of its own');
  none('13.2', '[target]', 'another window');
  for (const image of all('img')) {
    const is_decorative = image.alt === '' && image.closest('.brand') && text(image.closest('a'));
    if (!is_decorative) fault('1.2', image, 'a picture that is not beside its text');
  }
  if (all('.brand img').length !== 1) fault('1.2', document.body, 'the logo is missing');

  // 8.3, 8.7, 8.8
  for (const element of all('[lang]')) if (!['fr', 'en'].includes(element.lang)) fault('8.8', element, 'an unknown language');
  const languages = all('footer [name=language]').map((button) => button.lang).join();
  if (languages !== 'fr,en') fault('8.7', languages, 'the names of languages');

  // 9.1: one h1, which comes first, and no level is left out.
  const levels = all('h1, h2, h3, h4, h5, h6').map((heading) => Number(heading.tagName[1]));
  levels.forEach((level, index) => {
    if (index === 0 ? level !== 1 : level === 1 || level > levels[index - 1] + 1) fault('9.1', `${levels}`, 'headings');
  });

  // 9.2, 12.6
  const parts = [...document.body.children].map((part) => part.matches('a.skip') ? 'skip' : part.tagName.toLowerCase());
  const frame = parts.filter((part) => part !== 'nav').join();
  if (frame !== 'skip,header,main,footer' || ![-1, 2].includes(parts.indexOf('nav'))) fault('9.2', `${parts}`, 'the parts of the page');
  // 9.3
  for (const menu of all('nav')) if (!menu.querySelector('ul > li > a')) fault('9.3', menu, 'a menu that is no list');
  // 10.10: the page that one is at.
  for (const menu of all('nav')) {
    const here = all('a', menu).filter((link) => link.pathname === location.pathname);
    if (here.some((link) => link.getAttribute('aria-current') !== 'page')) fault('10.10', menu, 'the current page');
  }

  // 10.2: what the style sheet repeats stands in the table too.
  for (const table of all('table')) {
    const heads = all('thead th', table).map(text);
    for (const cell of all('td[data-label]', table)) {
      if (heads[cell.cellIndex] !== cell.dataset.label) fault('10.2', cell, 'a label that is no head of its column');
    }
    // 10.8, 5.7
    if (!shown(table.tHead)) fault('10.8', table, 'heads that nobody is told');
    all('th', table).forEach((head) => head.scope || fault('5.7', head, 'of what it is the head'));
    if (!table.caption || !text(table.caption)) fault('5.4', table, 'no caption');
  }
  for (const element of all('body *:not(script, option)')) {
    if (!shown(element) && element.children.length === 0 && text(element)) fault('10.8', element, 'hidden');
  }

  // 6.1, 6.2: one text leads to one page.
  const leads = new Map();
  for (const link of all('a[href]')) {
    if (!name(link)) fault('6.2', link, 'no text');
    const to = link.getAttribute('href');
    if ((leads.get(name(link)) ?? to) !== to) fault('6.1', link, `also leads to ${leads.get(name(link))}`);
    leads.set(name(link), to);
    const is_in_text = link.closest('main p, main li, footer p') && !link.matches('.button');
    if (is_in_text && !getComputedStyle(link).textDecorationLine.includes('underline')) fault('10.6', link, 'looks like text');
  }

  // 11.9, 11.2: one name does one thing, and holds what is seen.
  const does = new Map();
  for (const button of all('button')) {
    if (!name(button)) fault('11.9', button, 'no text');
    if (!name(button).includes(text(button))) fault('11.2', button, 'another name than is seen');
    const what = button.form ? `${button.form.getAttribute('action')} ${button.type} ${button.value}` : '';
    const act = button.type === 'button' ? name(button) : what;
    if ((does.get(name(button)) ?? act) !== act) fault('11.9', button, `also does ${does.get(name(button))}`);
    does.set(name(button), act);
  }

  // 11.1, 11.4, 11.10, 11.13
  for (const field of all('input:not([type=hidden]), select, textarea')) {
    const [label] = field.labels ?? [];
    if (!label || !text(label)) {
      fault('11.1', field, 'no label');
      continue;
    }
    const [here, there] = [field.getBoundingClientRect(), label.getBoundingClientRect()];
    const across = Math.max(0, here.left - there.right, there.left - here.right);
    const down = Math.max(0, here.top - there.bottom, there.top - here.bottom);
    if (Math.hypot(across, down) > 24) fault('11.4', field, 'far from its label');
    // A filter is about others: nothing of its reader belongs there.
    const is_filter = field.form?.method === 'get' && field.autocomplete === 'off';
    if (field.tagName === 'INPUT' && !is_filter && !['username', 'current-password', 'new-password'].includes(field.autocomplete)) {
      fault('11.13', field, 'no purpose');
    }
    const says = (sentence) => all('.note', field.closest('main, footer')).some((note) => sentence.test(text(note)));
    if (field.required && !says(/^(Tous les champs sont obligatoires|All fields are required)\.$/)) {
      fault('11.10', field, 'nobody is told that it must be filled');
    }
    for (const id of (field.getAttribute('aria-describedby') ?? '').split(' ').filter(Boolean)) {
      const said = document.getElementById(id);
      if (!said || !text(said)) fault('11.10', field, `${id} says nothing`);
    }
    if (field.autocomplete === 'new-password' && field.id === 'new-password' && !/\d/.test(document.getElementById('rule')?.textContent ?? '')) {
      fault('11.10', field, 'how long it must be');
    }
    if (field.readOnly !== true && field.type === 'password' && field.getAttribute('onpaste')) fault('3.3.8', field, 'no pasting');
  }
  for (const group of all('fieldset')) if (!group.querySelector('legend')?.textContent.trim()) fault('11.6', group, 'no legend');

  // WCAG 2.5.8
  for (const target of all('button, input:not([type=hidden]), select').filter(shown)) {
    const { width, height } = target.getBoundingClientRect();
    if (width < 24 || height < 24) fault('2.5.8', target, `${width} × ${height}`);
  }

  // 13.7, 13.8
  if (document.getAnimations().length) fault('13.8', document.body, 'something moves');
  for (const element of all('body *')) {
    const { animationName, transitionDuration } = getComputedStyle(element);
    if (animationName !== 'none' || /[1-9]/.test(transitionDuration)) fault('13.8', element, 'something may move');
  }
  return found;
}

// In the page: buttons and fields whose border or ground, and focus whose ring, has less than 3 to 1 with what is around (WCAG 1.4.11).
function pale() {
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const is_clear = (colour) => parts(colour)[3] === 0;
  const luminance = (colour) => {
    const [red, green, blue] = parts(colour)
      .slice(0, 3)
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const ground = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return is_clear(backgroundColor) && element.parentElement ? ground(element.parentElement) : backgroundColor;
  };
  const found = [];
  for (const element of document.querySelectorAll('button, .button, input:not([type=hidden]), select, a[href], section[tabindex]')) {
    if (!element.checkVisibility()) continue;
    const around = ground(element.parentElement);
    const { borderTopColor, backgroundColor } = getComputedStyle(element);
    if (element.matches('button, .button, input, select')) {
      const best = Math.max(contrast(borderTopColor, around), is_clear(backgroundColor) ? 1 : contrast(backgroundColor, around));
      if (best < 3) found.push(`${best.toFixed(2)}: ${element.outerHTML.slice(0, 120)}`);
    }
    element.focus({ focusVisible: true });
    const { outlineColor, outlineStyle } = getComputedStyle(element);
    const ring = outlineStyle === 'none' ? 1 : contrast(outlineColor, around);
    if (document.activeElement !== element || ring < 3) found.push(`focus ${ring.toFixed(2)}: ${element.outerHTML.slice(0, 120)}`);
    element.blur();
  }
  return found;
}
