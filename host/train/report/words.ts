// The words that the data report looks for.

/** Pronouns (Llama 2 paper, section A.4.3). */
export const PRONOUNS = {
  she: ['she', 'her', 'hers', 'herself'],
  he: ['he', 'him', 'his', 'himself'],
  unspecified: ['they', 'them', 'their', 'theirs', 'theirself', 'themself', 'themselves'],
  first: ['i', 'me', 'my', 'mine', 'myself', 'we', 'us', 'our', 'ours', 'ourselves'],
  second: ['you', 'your', 'yours', 'yourself', 'yourselves'],
  it: ['it', 'its', 'itself'],
} as const;

/** By axis. */
export type Identities = Readonly<Record<string, readonly string[]>>;

/**
 * The five most frequent terms of each axis in Llama 2's data (paper, table 9b). The paper counted all descriptors of
 * HolisticBias; a report with those takes them as an option.
 */
export const IDENTITIES: Identities = {
  'gender and sex': ['female', 'male', 'feminine', 'transgender', 'masculine'],
  'sexual orientation': ['gay', 'lesbian', 'lgbt', 'lgbtq', 'queer'],
  nationality: ['american', 'indian', 'chinese', 'korean', 'mexican'],
  'race and ethnicity': ['european', 'african', 'asian', 'latin', 'indigenous'],
  religion: ['christian', 'religious', 'spiritual', 'catholic', 'jewish'],
};

const list = (words: string): ReadonlySet<string> => new Set(words.split(' '));

/** Function words by language (ISO 639-1), of those that are written in the Latin and Cyrillic scripts. */
export const FUNCTION_WORDS: Readonly<
  Record<'latin' | 'cyrillic', Readonly<Record<string, ReadonlySet<string>>>>
> = {
  latin: {
    en: list('the and of to was that with his for you she they had not but were this have'),
    de: list('der die und das nicht ist ein eine sie mit auf dem den ich war von auch sich'),
    fr: list('les des est une dans pour pas que avec sur qui elle mais nous était cette sont'),
    es: list('los las una por con para como pero está más del que era muy cuando también'),
    pt: list('não uma com para dos mais como mas foi são ele ela você muito também quando'),
    it: list('che non una per con della sono gli anche più era come del nel questo molto'),
    nl: list('het een van niet dat zijn voor met ook maar was hij naar ze werd heel'),
    sv: list('och att det som inte för är jag med till han hon var mycket också efter'),
    no: list('og ikke det som til jeg på av også hvor etter hun seg ble veldig noe'),
    da: list('og ikke det som til jeg på af også hvor efter hun sig blev meget noget'),
    fi: list('ja on ei se että oli hän mutta kun niin ovat myös hyvin joka sitten'),
    pl: list('nie się jest że na do jak ale był przez była oraz bardzo jego tego'),
    cs: list('je že se na není jako ale byl který jsem jeho také velmi když byla'),
    hu: list('és az hogy nem egy volt meg csak már mint nagyon azt akkor ő'),
    ro: list('și este nu sunt pentru care din cu mai fost foarte era când lui'),
    ca: list('els les amb una per que és però aquest molt era també quan dels'),
    hr: list('je da nije su koji kao ali što bio samo vrlo kada gdje bila također'),
    sl: list('je da ni so kot pa bil tudi ki samo zelo ko kjer bila vendar'),
    id: list('yang dan di tidak ini itu dengan untuk dari ada adalah sangat dia'),
    vi: list('và của là không một có cho được người những rất này với'),
  },
  cyrillic: {
    ru: list('и в не на что он как это но она был была очень его когда'),
    uk: list('і в не на що він як це але вона був була дуже його коли та'),
    bg: list('и в не на че да се от той като са тя беше много когато'),
    sr: list('и у не на да је се није као али су што био била врло када'),
  },
};

/** Languages that have a script to themselves, nearly. */
export const BY_SCRIPT: Readonly<Record<string, string>> = {
  hangul: 'ko',
  greek: 'el',
  hebrew: 'he',
  thai: 'th',
  armenian: 'hy',
  georgian: 'ka',
  khmer: 'km',
  lao: 'lo',
};
