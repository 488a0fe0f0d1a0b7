import type { Splice } from '../change.js';
import { Problem } from '../problem.js';
import { ScalarText, scalarCount } from './scalars.js';

/** Applies an effect to the text it was computed for. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  return walk(text, splices, 'insert');
}

/** Takes an effect back: from the text after it to the text before it. */
export function undoSplices(text: string, splices: readonly Splice[]): string {
  return walk(text, splices, 'delete');
}

function walk(text: string, splices: readonly Splice[], adds: 'insert' | 'delete'): string {
  const source = new ScalarText(text);
  let result = '';
  let at = 0;
  let unit = 0;
  for (const [index, splice] of splices.entries()) {
    if (splice.type === 'retain') {
      at += splice.count;
      if (at > source.length) throw new Problem('splices', `splice ${index} reaches beyond the text`);
      const end = source.unitOf(at);
      result += text.slice(unit, end);
      unit = end;
    } else if (splice.type === adds) {
      result += splice.text;
    } else {
      if (!text.startsWith(splice.text, unit)) throw new Problem('splices', `splice ${index} mentions other text`);
      unit += splice.text.length;
      at += scalarCount(splice.text);
    }
  }
  if (unit !== text.length) throw new Problem('splices', 'the splices do not cover the text');
  return result;
}

/** Builds an effect; neighbours of one kind become one splice and empty ones disappear. */
export class SpliceBuilder {
  private readonly splices: Splice[] = [];

  retain(count: number): void {
    if (count === 0) return;
    const last = this.splices.at(-1);
    if (last?.type === 'retain') this.splices[this.splices.length - 1] = { type: 'retain', count: last.count + count };
    else this.splices.push({ type: 'retain', count });
  }

  insert(text: string): void {
    this.add('insert', text);
  }

  delete(text: string): void {
    this.add('delete', text);
  }

  private add(type: 'insert' | 'delete', text: string): void {
    if (text === '') return;
    const last = this.splices.at(-1);
    if (last?.type === type) this.splices[this.splices.length - 1] = { type, text: last.text + text };
    else this.splices.push({ type, text });
  }

  finish(): readonly Splice[] {
    return this.splices;
  }
}
