// Writes datetimes.tsv, the outputs of java.time.format.DateTimeFormatter that the timestamp tests compare with:
//
//	java DateTimes.java > datetimes.tsv
//
// Made with OpenJDK 17.0.15, default locale provider (CLDR). Columns: zone, seconds, nanoseconds, pattern, output.
import java.time.*;
import java.time.format.DateTimeFormatter;
import java.util.*;

public class DateTimes {
    public static void main(String[] args) {
        List<String> patterns = new ArrayList<>(List.of(
            "yyyy/MM/dd/HH/", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "'year='yyyy'/month='MM'/day='dd", "YYYY-'W'ww", "-yyyy-'w'ww",
            "''", "'it''s' d", "'a''b'", "yyyyMMddHHmmssSSSSSSSSS", "EEEE, d MMMM yyyy h:mm a", "'o''clock' KK", "d.M.yy", "é_d~!@$%^&*()+=;:|,.?/ -"));
        for (String s : new String[]{"y6", "u6", "Y6", "M5", "L5", "Q5", "q5", "d2", "D3", "E5", "e5", "w2", "W1", "a1", "H2", "k2",
                "K2", "h2", "m2", "s2", "S9", "A10", "n10", "N15", "X3", "x3", "Z3"}) {
            for (int n = 1; n <= Integer.parseInt(s.substring(1)); n++) patterns.add(s.substring(0, 1).repeat(n));
        }
        List<Long> seconds = new ArrayList<>();
        for (int year : new int[]{1970, 1999, 2000, 2015, 2016, 2020, 2023, 2024, 2026, 2027, 2028, 2100}) {
            for (String day : new String[]{"-01-01T00:00:00Z", "-01-03T12:00:00Z", "-02-28T23:59:59Z", "-03-31T01:00:00Z", "-07-08T13:05:09Z", "-10-25T00:59:59Z",
                    "-12-27T11:59:59Z", "-12-28T00:00:01Z", "-12-31T23:59:59Z"}) {
                seconds.add(Instant.parse(year + day).getEpochSecond());
            }
        }
        Random random = new Random(7);
        for (int i = 0; i < 40; i++) seconds.add((long) (random.nextDouble() * 4_102_444_800L));
        seconds.add(Instant.parse("0999-06-05T04:03:02Z").getEpochSecond());
        seconds.add(Instant.parse("9999-06-05T04:03:02Z").getEpochSecond());
        String[] zones = {"UTC", "Europe/Vienna", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"};
        int[] nanos = {0, 1, 123456789, 999999999, 120000000};
        StringBuilder out = new StringBuilder();
        // Every pattern meets every instant in one zone, and every zone in turn: all pairs would be a large table.
        int turn = 0;
        for (String pattern : patterns) {
            for (int i = 0; i < seconds.size(); i++, turn++) {
                if ((turn + i) % 7 != 0) continue;
                long s = seconds.get(i);
                int nano = nanos[turn / 7 % nanos.length];
                String zone = zones[turn / 11 % zones.length];
                if (s < 0 || s > 4_200_000_000L) zone = "UTC";
                ZonedDateTime t = Instant.ofEpochSecond(s, nano).atZone(ZoneId.of(zone));
                String text = DateTimeFormatter.ofPattern(pattern, Locale.US).format(t);
                out.append(zone).append('\t').append(s).append('\t').append(nano).append('\t').append(pattern).append('\t').append(text).append('\n');
            }
        }
        System.out.print(out);
    }
}
