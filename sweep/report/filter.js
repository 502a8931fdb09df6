/* The filter of the table: what a word of it asks of a row, and what to say where it finds nothing. */
const Filter = (() => {
  "use strict";

  // Which of the words no row holds, or that no row holds them all.
  function nothingFound(asked, body, whole) {
    const rows = [...body.rows];
    const lost = asked.find((one) => !rows.some(one.holds));
    if (lost) return `No configuration here has “${lost.word}”.`;
    const solved = whole ? " and was solved by every replicate" : "";
    return `Each of these holds for some configuration, but none has them all${solved}.`;
  }

  // A word of the filter as a question to a row: `units<10`, `optimizer=adam`, or a part of any cell.
  // It `holds` for a row or not; where it is no question, `wrong` says why and what would be right.
  function condition(word, headings) {
    const parts = word.match(/^([^<>=]*)([<>=!~:]*[<>=][<>=!~:]*)(.*)$/);
    if (!parts) {
      // A number has to be a cell's whole value, a word may be a part of it.
      const isNumber = /^[\d.]+$/.test(word);
      return { holds: (row) => [...row.cells].some((cell) => {
        const text = cell.textContent.trim().toLowerCase();
        return isNumber ? text.split(/\s/)[0] === word : text.includes(word);
      }) };
    }
    const [, key, sign, asked] = parts;
    const keys = headings.map((heading) => heading.dataset.key);
    const column = keys.indexOf(key);
    if (column < 0) return { wrong: `${key ? `there is no column ${key}` : "it names no column"}; there are ${keys.join(", ")}.` };
    const isNumber = headings[column].classList.contains("number") || key === "trial";
    const example = `${key}${isNumber ? "<=" : "="}${exampleOf(column, headings)}`;
    if (!["<", ">", "<=", ">=", "="].includes(sign)) {
      return { wrong: `${sign} is no sign here; right are <, >, <=, >= and =, as in ${example}.` };
    }
    if (asked === "") return { wrong: `a value is missing; right would be ${example}, without a space.` };
    if (!isNumber && sign !== "=") return { wrong: `${key} has words, which go with = alone, as in ${example}.` };
    if (isNumber && Number.isNaN(Number(asked))) return { wrong: `${asked} is no number; right would be ${example}.` };
    const tests = { "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b, "=": (a, b) => a === b };
    return { holds: (row) => {
      const value = row.cells[column].dataset.v.toLowerCase();
      if (value === "") return false;
      return isNumber ? tests[sign](Number(value), Number(asked)) : value === asked;
    } };
  }

  // A value that the table has in a column, as a reader would write it.
  function exampleOf(column, headings) {
    const value = [...headings[column].closest("table").tBodies[0].rows].map((row) => row.cells[column].dataset.v).find((v) => v !== "");
    if (value === undefined) return "1";
    return Number.isNaN(Number(value)) ? value : String(Number(Number(value).toPrecision(3)));
  }

  return { condition, nothingFound };
})();
