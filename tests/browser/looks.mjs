// How the pages look: on a small screen, enlarged, in the dark, in the reader's own colours, on paper.
import assert from 'node:assert/strict';

import { accessible, fits } from './look.mjs';
import { picture, scenario } from './scenario.mjs';
import { api, api_session } from './visitor.mjs';

const PAGES = ['/account', '/account/sessions', '/account/attempts', '/account/password', '/account/export', '/logout', '/privacy', '/accessibility'];
const CONTRAST = { runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block', 'target-size'] } };

await scenario(async ({ step, visitor }) => {
  await api_session('dora', { device_name: 'Téléphone de Dora, celui dont le nom est vraiment très long' });
  await api('/auth/login', { username: 'dora', password: 'trois lapins bleus dorment' });

  // A visitor whose window is like this, at each page.
  async function everywhere(name, options, act, pages = PAGES) {
    await step(name, async () => {
      const dora = await visitor(options);
      const at = async (path) => {
        await act(dora, path);
        await dora.page.screenshot({ path: picture(`${name}${path.replaceAll('/', '-')}`), fullPage: true });
      };
      await dora.go('/login');
      await at('/login');
      await dora.log_in('dora');
      for (const path of pages) {
        await dora.go(path);
        await at(path);
      }
      await dora.context.close();
    });
  }

  await everywhere('small', { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true }, async (dora, path) => {
    await fits(dora, path);
    await accessible(dora.page, `${path} on a small screen`, CONTRAST);
  });

  // A window of 1280 pixels at 200 %.
  const enlarged = { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 };
  await everywhere('enlarged', enlarged, async (dora, path) => {
    await fits(dora, path);
    await dora.page.evaluate(() => (document.documentElement.style.fontSize = '200%'));
    await fits(dora, `${path} with its text enlarged`);
  });

  // A window of 1280 × 1024 pixels at 400 %, and a telephone that is held across.
  const strongly = { viewport: { width: 320, height: 256 } };
  await everywhere('strongly-enlarged', strongly, fits);
  await everywhere('across', { viewport: { width: 640, height: 320 }, isMobile: true, hasTouch: true }, fits);

  // WCAG 1.4.12: the reader's own spacing.
  const spaced = async (dora, path) => {
    await dora.page.evaluate(() => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(
        '* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }' +
          ' p { margin-bottom: 2em !important }',
      );
      document.adoptedStyleSheets = [sheet];
    });
    await fits(dora, path);
    assert.deepEqual(await dora.page.evaluate(clipped), [], `cut off at ${path}`);
  };
  await everywhere('spaced', { viewport: { width: 1280, height: 800 } }, spaced);
  await everywhere('spaced-small', { viewport: { width: 320, height: 640 } }, spaced);

  await everywhere('light', { colorScheme: 'light' }, async (dora, path) => {
    assert.ok((await brightness(dora)) > 0.8, `${path} is light`);
  });

  await everywhere('dark', { colorScheme: 'dark' }, async (dora, path) => {
    assert.ok((await brightness(dora)) < 0.2, `${path} is dark`);
    await accessible(dora.page, `${path} in the dark`, CONTRAST);
  });

  const some = ['/account/sessions', '/account/password'];
  await everywhere('own-colours', { forcedColors: 'active', colorScheme: 'dark' }, async (dora, path) => {
    const unbordered = await dora.page.evaluate(() =>
      [...document.querySelectorAll('main button, main input:not([type=hidden])')]
        .filter((element) => element.checkVisibility() && getComputedStyle(element).borderStyle === 'none')
        .map((element) => element.outerHTML),
    );
    assert.deepEqual(unbordered, [], `what cannot be told from text at ${path}`);
  }, some);

  await everywhere('paper', {}, async (dora, path) => {
    if (path === '/login') return;
    await dora.page.emulateMedia({ media: 'print' });
    const shown = await dora.page.locator('nav:visible').count();
    assert.equal(shown, 0, `nobody clicks on paper, at ${path}`);
  }, some);
});

function clipped() {
  return [...document.querySelectorAll('main *, header *, footer *')]
    .filter((element) => {
      const { overflowX, overflowY } = getComputedStyle(element);
      const hides = overflowX === 'hidden' || overflowY === 'hidden' || overflowX === 'clip';
      const is_over = element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1;
      return hides && is_over && element.clientWidth > 1;
    })
    .map((element) => element.outerHTML.slice(0, 120));
}

// 0 is black, 1 is white: what is behind the text.
function brightness({ page }) {
  return page.evaluate(() => {
    const [red, green, blue] = [document.body, document.documentElement]
      .map((element) => getComputedStyle(element).backgroundColor)
      .find((colour) => !colour.endsWith(', 0)'))
      ?.match(/[\d.]+/g) ?? [255, 255, 255];
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
  });
}
