// A scenario: one browser, some visitors, many steps. The first step that fails ends it, with a picture and what was wrong.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';

import { launch } from './browsers.mjs';
import { Visitor } from './visitor.mjs';

const name = basename(process.argv[1], '.mjs');
const screenshots = process.env.VIGIE_SCREENSHOTS;
// A browser that hangs must not hold up the tests.
const LIMIT = 240_000;

mkdirSync(screenshots, { recursive: true });

export function picture(of) {
  return join(screenshots, `${of}.png`);
}

export async function scenario(play) {
  const watch = setTimeout(() => end(`more than ${LIMIT / 1000} s`), LIMIT);
  const browser = await launch();
  const visitors = [];
  let current = 'the beginning';

  // Somebody with a browser of their own: no cookie is shared.
  async function visitor(options = {}) {
    const context = await browser.newContext({ locale: 'fr-FR', ...options });
    const page = await context.newPage();
    take_pictures_patiently(page);
    const visitor = new Visitor(context, page);
    visitors.push(visitor);
    return visitor;
  }

  async function step(sentence, act) {
    current = sentence;
    const begun = performance.now();
    await act();
    const faults = visitors.flatMap((visitor) => visitor.faults.splice(0));
    assert.deepEqual(faults, [], 'what the browser complained of');
    console.log(`${name}: ${sentence} (${Math.round(performance.now() - begun)} ms)`);
  }

  try {
    await play({ step, visitor });
    await browser.close();
    clearTimeout(watch);
  } catch (error) {
    for (const [index, { page }] of visitors.entries()) {
      const place = picture(`failed-${name}-${index + 1}`);
      await page.screenshot({ path: place, fullPage: true }).catch(() => {});
      console.error(`visitor ${index + 1} is at ${page.url()}: ${place}`);
    }
    console.error(visitors.flatMap((visitor) => visitor.faults).join('\n'));
    end(error.stack);
  }

  function end(why) {
    console.error(`${name}: not so: ${current}\n${why}`);
    browser?.close().catch(() => {});
    setTimeout(() => process.exit(1), 500);
  }
}

// A picture is for people: a busy machine may want to be asked for it once more.
function take_pictures_patiently(page) {
  const once = page.screenshot.bind(page);
  page.screenshot = async (options) => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await once(options);
      } catch (error) {
        if (tries === 3) throw error;
      }
    }
  };
}
