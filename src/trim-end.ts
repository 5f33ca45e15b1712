/** A text without these characters at its end. `/[ .]+$/` does the same in quadratic time where many stand elsewhere. */
export function trimEnd(text: string, characters: string): string {
  let end = text.length
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1
  return text.slice(0, end)
}
