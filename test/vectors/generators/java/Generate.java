// Writes vectors with Java's own cipher: `java Generate.java DIRECTORY`; a file that is there is never touched.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

class Generate {
  static final String CIPHER = "AES/GCM/NoPadding";

  public static void main(String[] arguments) throws Exception {
    Path file = Path.of(arguments[0], "static-key.java.json");
    if (Files.exists(file)) {
      System.out.println(file.getFileName() + " is there already; vectors are only ever added");
      return;
    }
    List<String> cases = new ArrayList<>();
    // An id as teams have it, and one as the sample has it: there the id is the key.
    cases.add(vector("a string", "team-key-1", random(32)));
    byte[] printable = Base64.getEncoder().encode(random(24));
    cases.add(vector("a string, the key id is the key", new String(printable, StandardCharsets.US_ASCII), printable));
    String origin = "the shape of samples-java's CryptCodec, with the " + CIPHER + " of Java " + Runtime.version();
    Files.writeString(file, "{\n  \"origin\": \"" + origin + "\",\n  \"cases\": [\n" + String.join(",\n", cases) + "\n  ]\n}\n");
  }

  static String vector(String name, String keyId, byte[] key) throws Exception {
    byte[] plaintext = payload("json/plain", "\"Hello, Temporal\"");
    byte[] nonce = random(12);
    Cipher cipher = Cipher.getInstance(CIPHER);
    cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"), new GCMParameterSpec(128, nonce));
    byte[] sealed = cipher.doFinal(plaintext);
    byte[] data = ByteBuffer.allocate(nonce.length + sealed.length).put(nonce).put(sealed).array();
    return """
            {
              "name": "%s",
              "keyId": "%s",
              "secret": "%s",
              "plaintext": "%s",
              "payload": {
                "metadata": {
                  "encoding": "%s",
                  "encryption-cipher": "%s",
                  "encryption-key-id": "%s"
                },
                "data": "%s"
              }
            }"""
        .formatted(name, keyId, text(key), text(plaintext), text("binary/encrypted"), text(CIPHER), text(keyId), text(data))
        .indent(4)
        .stripTrailing();
  }

  /** temporal.api.common.v1.Payload with one metadata entry, by hand: all lengths are below 128. */
  static byte[] payload(String encoding, String data) {
    byte[] key = ascii("encoding");
    byte[] value = ascii(encoding);
    byte[] content = ascii(data);
    int entry = 2 + key.length + 2 + value.length;
    return ByteBuffer.allocate(2 + entry + 2 + content.length)
        .put((byte) 0x0a).put((byte) entry)
        .put((byte) 0x0a).put((byte) key.length).put(key)
        .put((byte) 0x12).put((byte) value.length).put(value)
        .put((byte) 0x12).put((byte) content.length).put(content)
        .array();
  }

  static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  static byte[] random(int size) {
    byte[] made = new byte[size];
    new SecureRandom().nextBytes(made);
    return made;
  }

  static String text(String ascii) {
    return text(ascii(ascii));
  }

  static String text(byte[] bytes) {
    return Base64.getEncoder().encodeToString(bytes);
  }
}
