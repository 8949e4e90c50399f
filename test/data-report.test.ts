import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openTokenizer } from '../host/index.ts';
import {
  carbon,
  type DataReport,
  dataReport,
  trainTokenizer,
  writeVocabularyGguf,
} from '../host/train/index.ts';
import { cria, temporaryFolder } from './support/cli.ts';
import { rejects } from './support/errors.ts';
import { sharedFile, sharedTest } from './support/shared.ts';

const files = temporaryFolder();
const textSource = (text: string) => ({ files: [new TextEncoder().encode(text)], separator: '\n' });

// Llama 2 paper, table 2: GPU hours, watts, tonnes
const TABLE_2 = [
  ['7B', 184_320, 400, '31.22'],
  ['13B', 368_640, 400, '62.44'],
  ['34B', 1_038_336, 350, '153.90'],
  ['70B', 1_720_320, 400, '291.42'],
] as const;

test('carbon reproduces table 2 of the Llama 2 paper', () => {
  // the paper cuts off after two decimals
  const cut = (tonnes: number) => (Math.floor(tonnes * 100) / 100).toFixed(2);
  let total = 0;
  for (const [model, hours, watts, published] of TABLE_2) {
    const tonnes = carbon({ hours, watts }).kg / 1000;
    assert.is(cut(tonnes), published, model);
    total += tonnes;
  }
  assert.is(cut(total), '539.00');
  // table 15 of the first Llama paper, in whole tonnes
  for (const [hours, tonnes] of [
    [82_432, 14],
    [135_168, 23],
    [530_432, 90],
    [1_022_362, 173],
  ] as const) {
    assert.is(Math.round(carbon({ hours, watts: 400 }).kg / 1000), tonnes);
  }
});

test('carbon of a run: from its time, power and grid', async () => {
  const close = (got: number, expected: number) =>
    assert.ok(Math.abs(got - expected) < 1e-12 * expected, `${got}`);
  const { kWh, kg } = carbon({ hours: 10, watts: 65, pue: 1, kgPerKwh: 0.05 });
  close(kWh, 0.65);
  close(kg, 0.0325);
  for (const wrong of [{ hours: -1 }, { watts: Number.NaN }, { pue: 0.9 }, { kgPerKwh: Infinity }]) {
    await rejects(() => carbon({ hours: 1, watts: 1, ...wrong }), 'option-range');
  }
  const run = (...args: string[]) => cria(['carbon', ...args]);
  assert.is(
    (await run('--hours', '184320', '--watts', '400')).stdout,
    '81.10 MWh, 31.22 t of CO2 equivalents\n',
  );
  const json = await run(
    '--seconds',
    '1800',
    '--watts',
    '100',
    '--devices',
    '2',
    '--pue',
    '1',
    '--intensity',
    '0.5',
    '--json',
  );
  assert.equal(JSON.parse(json.stdout), { kWh: 0.1, kg: 0.05 });
  for (const args of [
    [],
    ['--hours', '1'],
    ['--hours', '1', '--seconds', '1', '--watts', '1'],
    ['--hours', '1', '--watts', '1', '--pue', '0'],
  ]) {
    assert.is((await run(...args)).code, 2, args.join(' '));
  }
});

test('pronouns and identities are counted by document, as in the paper’s tables', async () => {
  const text = [
    'She saw him.', // she, he
    'They saw THEMSELVES; I did not.', // unspecified, first
    'It rained.', // third alone
    'You’re here, herbs and theory.', // second: her and they stand in other words
    'A Female and a male american friend', // no pronoun
    'Stones.',
    'the non binary, then non - binary; nonbinary',
  ].join('\n');
  const { pronouns, identities, documents } = await dataReport([textSource(text)], {
    identities: {
      gender: ['female', 'male', 'non-binary'],
      place: ['american', 'american friend', 'friend american'],
    },
  });
  assert.is(documents, 7);
  const counts = Object.fromEntries(
    Object.entries(pronouns).map(([name, { documents }]) => [name, documents]),
  );
  assert.equal(counts, { gendered: 2, she: 1, he: 1, unspecified: 1, any: 4, first: 1, second: 1, third: 3 });
  assert.is(pronouns.gendered.share, 2 / 7);
  assert.is(pronouns.she.share, 1 / 2);
  assert.is(pronouns.third.share, 3 / 4);
  assert.equal(identities, {
    gender: {
      documents: 2,
      share: 2 / 7,
      terms: {
        female: { documents: 1, share: 1 / 2 },
        male: { documents: 1, share: 1 / 2 },
        'non-binary': { documents: 1, share: 1 / 2 },
      },
    },
    place: {
      documents: 1,
      share: 1 / 7,
      terms: { american: { documents: 1, share: 1 }, 'american friend': { documents: 1, share: 1 } },
    },
  });
});

test('languages are told by script and function words, or not at all', async () => {
  const sentences: Record<string, string> = {
    en: 'The old man and his dog went to the sea, but they were not happy with what they saw there.',
    de: 'Der alte Mann und sein Hund gingen nicht an das Meer, denn es war ein kalter Tag und die Sonne schien nicht.',
    fr: 'Le vieil homme et les enfants sont dans une maison avec des fleurs, mais elle est pour nous.',
    es: 'Los niños y las niñas juegan con una pelota en el jardín, pero no es más grande que la casa del rey.',
    pt: 'Ele não foi para a casa com os amigos, mas ela também é uma menina muito feliz.',
    it: 'Il bambino non è più nella casa con gli amici, ma era anche una bella giornata del mese.',
    nl: 'Het was een mooie dag en hij ging niet met ons mee naar zee, maar ook dat zijn dingen voor later.',
    sv: 'Det var en vacker dag och han gick inte till havet med oss, för hon var också trött.',
    fi: 'Se oli kaunis päivä ja hän ei mennyt merelle, mutta sitten kun aurinko laski niin oli kylmä.',
    pl: 'To nie jest dom, ale był bardzo ładny i dzieci bawiły się na trawie przez cały dzień.',
    hu: 'Ez egy szép nap volt és a gyerekek nem mentek a tengerhez, mert már nagyon hideg volt az idő.',
    vi: 'Những người này không có nhà của mình và một người rất vui với cây hoa được trồng.',
    ru: 'Он не был дома, и она очень его ждала, когда на улице как раз шёл снег.',
    uk: 'Він не був удома, але вона дуже його чекала, коли на вулиці та у дворі був сніг.',
    ja: '吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。',
    zh: '从前有一个小村庄，村里住着一位老人和他的小狗。',
    ko: '옛날에 작은 마을에 한 노인이 살았습니다.',
    el: 'Μια φορά κι έναν καιρό ήταν ένας βασιλιάς.',
    unknown: 'Xyzzy plugh frobnicate quux',
  };
  for (const [language, sentence] of Object.entries(sentences)) {
    const { languages } = await dataReport([textSource(sentence)]);
    assert.equal(Object.keys(languages), [language], sentence);
  }
  const mixed = await dataReport([textSource('12 + 12\nabc\n你好')]);
  assert.equal(mixed.scripts, { latin: 3 / 5, han: 2 / 5 });
  assert.equal(mixed.languages, {
    unknown: { documents: 2, share: 2 / 3 },
    zh: { documents: 1, share: 1 / 3 },
  });
});

test('sizes, weights, licences and whom to name', async () => {
  const { vocabulary } = await trainTokenizer(['ab é']);
  const vocabularyFile = writeVocabularyGguf(vocabulary);
  const lines = [
    { t: 'ab é', l: 'CC-BY', by: 'Ann' },
    { t: 'b', l: 'CC-BY', by: 'Ann' },
    { t: 'a', by: 'Bo' },
  ];
  const jsonl = files.file('x.jsonl', lines.map(line => JSON.stringify(line)).join('\n'));
  const text = files.file('y.txt', 'Aa<|endoftext|>Bb');
  const config = files.file(
    'data.json',
    JSON.stringify({
      sources: [
        { file: 'x.jsonl', field: 't', licenseField: 'l', attributionField: 'by', weight: 2 },
        { name: 'texts', files: ['y.txt'], license: 'CC0' },
      ],
    }),
  );
  const gguf = files.file('v.gguf', vocabularyFile);
  const { code, stdout, stderr } = await cria(['data', 'report', config, '--tokenizer', gguf, '--json']);
  assert.is(stderr, '');
  assert.is(code, 0);
  const report: DataReport = JSON.parse(stdout);
  const [first, second] = report.sources;
  // tokens: the space before each text counts
  assert.equal(
    { ...first },
    {
      name: 'x.jsonl',
      weight: 2,
      documents: 3,
      bytes: 7,
      characters: 6,
      words: 4,
      tokens: 9,
      licenses: { 'CC-BY': 2, unstated: 1 },
      attributions: ['Ann', 'Bo'],
    },
  );
  assert.is(second!.name, 'texts');
  assert.equal(second!.licenses, { CC0: 2 });
  assert.is(report.documents, 5);
  assert.is(report.bytes, 11);
  const direct = await dataReport(
    [
      { files: [jsonl], field: 't', licenseField: 'l', attributionField: 'by', weight: 2 },
      { name: 'texts', files: [text], license: 'CC0' },
    ],
    { tokenizer: await openTokenizer(vocabularyFile) },
  );
  assert.equal(report, direct);
  const shown = await cria(['data', 'report', text, jsonl, '--field', 't', '--separator', '\\n']);
  assert.is(shown.code, 0);
  for (const part of ['x.jsonl', 'Licences', 'Languages', 'she, he or they', 'religion']) {
    assert.ok(shown.stdout.includes(part), part);
  }
});

test('what is wrong with a configuration is named', async () => {
  const said: [config: string, message: RegExp, code: number][] = [
    ['{}', /sources: expected a list of sources, got nothing/, 1],
    ['{"sources":[7]}', /sources\[0\]: expected an object/, 1],
    ['{"sources":[{"file":"a","lang":"en"}]}', /expected the keys file, name, .*got "lang"/, 1],
    ['{"sources":[{"field":"a"}]}', /files: expected a list of paths, got nothing/, 1],
    ['{"sources":[{"file":"a"},{"file":"a"}]}', /sources\[1\]: expected a name of its own/, 1],
    ['{"sources":[{"file":"a","weight":"2"}]}', /weight: expected a number from 0/, 1],
    ['{"sources":[', /expected JSON/, 2],
  ];
  for (const [text, message, expected] of said) {
    const { code, stderr } = await cria(['data', 'report', files.file('bad.json', text)]);
    assert.is(code, expected, text);
    assert.match(stderr, message);
  }
  const config = files.file('good.json', '{"sources":[{"file":"good.json"}]}');
  assert.is((await cria(['data', 'report', config, '--field', 'x'])).code, 2);
  assert.is((await cria(['data', 'report', config, config])).code, 2);
  assert.match((await cria(['data'])).stderr, /data: expected data report, got nothing/);
  assert.match((await cria(['help', 'data', 'report'])).stdout, /Usage: cria data report FILES/);
});

sharedTest(test, 'real texts: stories are English, and mention people as stories do', async () => {
  const { languages, pronouns } = await dataReport([
    { files: [sharedFile('data/text/tinystories-v2-head.txt')] },
  ]);
  assert.ok(languages['en']!.share > 0.99);
  assert.ok(pronouns.any.share > 0.99 && pronouns.she.share > 0.4 && pronouns.he.share > 0.4);
  const japanese = { files: [sharedFile('data/text/wagahaiwa_nekodearu.txt')] };
  assert.equal(Object.keys((await dataReport([japanese])).languages), ['ja']);
});

test.run();
