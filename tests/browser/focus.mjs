// Where the keyboard is.
import assert from 'node:assert/strict';

// What has the focus; it must be in view, marked, and covered by nothing (WCAG 2.4.7, 2.4.11).
export async function seen(visitor) {
  const at = await visitor.page.evaluate(() => {
    const element = document.activeElement;
    if (element === document.body || element === document.documentElement) return { html: null };
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    // The part of it that is in view, and a point in the middle of that.
    const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
    const [upper, lower] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
    const top = document.elementFromPoint((left + right) / 2, (upper + lower) / 2);
    return {
      html: element.outerHTML.slice(0, 160),
      index: [...document.querySelectorAll('*')].indexOf(element),
      href: element.getAttribute('href'),
      name: element.getAttribute('name'),
      kind: element.type,
      action: element.form?.getAttribute('action') ?? null,
      is_inside: element.closest('main') !== null,
      is_marked: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
      is_in_view: right - left >= Math.min(box.width, 24) && lower - upper >= Math.min(box.height, 24) && lower > upper,
      is_free: top !== null && (element.contains(top) || top.contains(element) || top.closest('label')?.control === element),
    };
  });
  if (at.html !== null) {
    const { is_marked, is_in_view, is_free } = at;
    assert.deepEqual({ is_marked, is_in_view, is_free }, { is_marked: true, is_in_view: true, is_free: true }, `${visitor.place}: ${at.html}`);
  }
  return at;
}
