"""Closed lists of words: countries, languages, truth values, grades."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


_ALPHA2 = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA "
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA "
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP "
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS "
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS "
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
_ALPHA3 = (
    "AFG ALA ALB DZA ASM AND AGO AIA ATA ATG ARG ARM ABW AUS AUT AZE BHS BHR BGD BRB BLR BEL BLZ BEN BMU BTN BOL BES "
    "BIH BWA BVT BRA IOT BRN BGR BFA BDI CPV KHM CMR CAN CYM CAF TCD CHL CHN CXR CCK COL COM COG COD COK CRI CIV HRV "
    "CUB CUW CYP CZE DNK DJI DMA DOM ECU EGY SLV GNQ ERI EST SWZ ETH FLK FRO FJI FIN FRA GUF PYF ATF GAB GMB GEO DEU "
    "GHA GIB GRC GRL GRD GLP GUM GTM GGY GIN GNB GUY HTI HMD VAT HND HKG HUN ISL IND IDN IRN IRQ IRL IMN ISR ITA JAM "
    "JPN JEY JOR KAZ KEN KIR PRK KOR KWT KGZ LAO LVA LBN LSO LBR LBY LIE LTU LUX MAC MDG MWI MYS MDV MLI MLT MHL MTQ "
    "MRT MUS MYT MEX FSM MDA MCO MNG MNE MSR MAR MOZ MMR NAM NRU NPL NLD NCL NZL NIC NER NGA NIU NFK MKD MNP NOR OMN "
    "PAK PLW PSE PAN PNG PRY PER PHL PCN POL PRT PRI QAT REU ROU RUS RWA BLM SHN KNA LCA MAF SPM VCT WSM SMR STP SAU "
    "SEN SRB SYC SLE SGP SXM SVK SVN SLB SOM ZAF SGS SSD ESP LKA SDN SUR SJM SWE CHE SYR TWN TJK TZA THA TLS TGO TKL "
    "TON TTO TUN TUR TKM TCA TUV UGA UKR ARE GBR USA UMI URY UZB VUT VEN VNM VGB VIR WLF ESH YEM ZMB ZWE"
)
_NAMES = (
    "afghanistan|albania|algeria|andorra|angola|argentina|armenia|aruba|australia|austria|azerbaijan|bahamas|bahrain|"
    "bangladesh|barbados|belarus|belgium|belize|benin|bermuda|bhutan|bolivia|bosnia and herzegovina|botswana|brazil|"
    "brunei|bulgaria|burkina faso|burundi|cambodia|cameroon|canada|cape verde|cabo verde|central african republic|chad|"
    "chile|china|colombia|comoros|congo|costa rica|croatia|cuba|curacao|cyprus|czech republic|czechia|denmark|djibouti|"
    "dominica|dominican republic|ecuador|egypt|el salvador|england|equatorial guinea|eritrea|estonia|eswatini|ethiopia|"
    "fiji|finland|france|gabon|gambia|georgia|germany|ghana|gibraltar|greece|greenland|grenada|guatemala|guinea|guyana|"
    "haiti|honduras|hong kong|hungary|iceland|india|indonesia|iran|iraq|ireland|israel|italy|ivory coast|jamaica|japan|"
    "jordan|kazakhstan|kenya|kiribati|korea|kosovo|kuwait|kyrgyzstan|laos|latvia|lebanon|lesotho|liberia|libya|"
    "liechtenstein|lithuania|luxembourg|macau|madagascar|malawi|malaysia|maldives|mali|malta|mauritania|mauritius|"
    "mexico|micronesia|moldova|monaco|mongolia|montenegro|morocco|mozambique|myanmar|namibia|nauru|nepal|netherlands|"
    "the netherlands|new zealand|nicaragua|niger|nigeria|north korea|north macedonia|northern ireland|norway|oman|"
    "pakistan|palau|palestine|panama|papua new guinea|paraguay|peru|philippines|poland|portugal|puerto rico|qatar|"
    "romania|russia|russian federation|rwanda|samoa|san marino|saudi arabia|scotland|senegal|serbia|seychelles|"
    "sierra leone|singapore|slovakia|slovenia|somalia|south africa|south korea|south sudan|spain|sri lanka|sudan|"
    "suriname|sweden|switzerland|syria|taiwan|tajikistan|tanzania|thailand|timor-leste|togo|tonga|trinidad and tobago|"
    "tunisia|turkey|türkiye|turkmenistan|tuvalu|uganda|ukraine|united arab emirates|united kingdom|united states|"
    "united states of america|uruguay|uzbekistan|vanuatu|vatican city|venezuela|vietnam|viet nam|wales|yemen|zambia|"
    "zimbabwe|deutschland|österreich|schweiz|españa|italia"
)
COUNTRY_CODES = frozenset((*_ALPHA2.split(), *_ALPHA3.split()))
"""ISO 3166-1, two and three letters."""
COUNTRY_NAMES = frozenset(_NAMES.split("|"))
"""In lower case."""

LANGUAGE_CODES = words(
    "aa ab af am ar as az ba be bg bn bo br bs ca co cs cv cy da de dv el en eo es et eu fa fi fo fr fy "
    "ga gd gl gu ha he hi hr ht hu hy id ig is it iu ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk "
    "ml mn mr ms mt my nb ne nl nn no oc or pa pl ps pt qu rm ro ru rw sa sd se si sk sl so sq sr su sv "
    "sw ta te tg th ti tk tl tr tt ug uk ur uz vi vo wo xh yi yo zh zu"
)
"""ISO 639-1."""
LANGUAGE_NAMES = words(
    "arabic bengali bulgarian catalan chinese croatian czech danish dutch english estonian finnish "
    "french german greek hebrew hindi hungarian indonesian italian japanese korean latvian lithuanian "
    "mandarin norwegian persian polish portuguese punjabi romanian russian serbian slovak slovenian "
    "spanish swahili swedish tamil telugu thai turkish ukrainian urdu vietnamese"
)

TRUTHS: tuple[frozenset[str], ...] = tuple(
    frozenset(pair.split())
    for pair in (
        "true false", "t f", "yes no", "y n", "on off", "1 0", "ja nein", "oui non", "si no", "sí no", "sim não",
        "da ne", "enabled disabled", "active inactive", "ticked unticked", "wahr falsch", "vrai faux",
    )
)  # fmt: skip
"""Pairs of words, in lower case, of which one means yes and the other no."""

GRADES: tuple[frozenset[str], ...] = tuple(
    frozenset(scale.split("|"))
    for scale in (
        "very low|low|medium|moderate|normal|high|very high|critical|urgent|none",
        "lowest|low|medium|high|highest",
        "trivial|minor|normal|major|critical|blocker",
        "xxs|xs|s|m|l|xl|xxl|xxxl",
        "small|medium|large|extra large|x-large",
        "never|rarely|seldom|sometimes|often|always",
        "strongly disagree|disagree|neutral|neither agree nor disagree|agree|strongly agree",
        "very poor|poor|fair|good|very good|excellent|ideal|premium",
        "bad|average|good|great|excellent",
        "first|second|third|fourth|fifth|sixth",
        "bronze|silver|gold|platinum|diamond",
        "junior|mid|senior|lead|principal",
        "beginner|intermediate|advanced|expert",
        "i|ii|iii|iv|v|vi|vii|viii|ix|x",
        "mon|tue|wed|thu|fri|sat|sun",
        "monday|tuesday|wednesday|thursday|friday|saturday|sunday",
        "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec",
        "january|february|march|april|may|june|july|august|september|october|november|december",
        "q1|q2|q3|q4",
        "a|b|c|d|e|f",
        "debug|info|warning|warn|error|critical|fatal",
        "primary school|high school|some college|college|bachelor|bachelors|master|masters|doctorate|phd",
    )
)
"""Scales, in lower case, whose words have an order."""
