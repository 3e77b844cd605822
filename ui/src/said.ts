// The sentences of the server in the language of the page. It says them in English; where that is not the language, a list of patterns
// finds what a sentence says. One that no pattern fits stays as it is.

/** What is looked for, and what stands in its place. */
type Pattern = [RegExp, string];

let sentences: Pattern[] = [];
let words: Pattern[] = [];

/** Lines such as `* runs. | $1 läuft.`; `*` is anything. */
function patterns(lines: string): Pattern[] {
  return lines.trim().split('\n').map((line) => {
    const [theirs, ours] = line.split(' | ') as [string, string];
    return [new RegExp(`^${theirs.replace(/[.()?]/g, '\\$&').replace(/\*/g, '(.+?)')}$`), ours];
  });
}

/** Takes the lists of a language; without one, what the server says stays as it is. */
export function hear(lists?: { sentences: string; words: string }): void {
  sentences = lists ? patterns(lists.sentences) : [];
  words = lists ? patterns(lists.words) : [];
}

function put(text: string, all: Pattern[]): string {
  for (const [pattern, ours] of all) {
    const found = pattern.exec(text);
    if (found) return ours.replace(/\$(\d)/g, (_, place: string) => put(found[Number(place)]!, words));
  }
  return text;
}

export function said(text: string): string {
  return put(text, sentences);
}
