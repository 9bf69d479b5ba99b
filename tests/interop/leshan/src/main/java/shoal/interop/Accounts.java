package shoal.interop;

import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateFactory;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.leshan.client.object.Security;

/** How the client proves who it is, and how it speaks DTLS. The settings are those of {@link LeshanPeer}. */
final class Accounts {
    private Accounts() {}

    static Security security(Map<String, String> settings, int server) throws Exception {
        String uri = settings.get("uri");
        boolean bootstraps = Boolean.parseBoolean(settings.get("bootstrap"));
        if (settings.containsKey("certificate")) {
            byte[] own = certificate(settings.get("certificate"));
            byte[] key = key(settings.get("key"));
            byte[] shown = certificate(settings.get("server"));
            return bootstraps ? Security.x509Bootstrap(uri, own, key, shown) : Security.x509(uri, server, own, key, shown);
        }
        if (!settings.containsKey("identity")) {
            return bootstraps ? Security.noSecBootstrap(uri) : Security.noSec(uri, server);
        }
        byte[] identity = settings.get("identity").getBytes(StandardCharsets.UTF_8);
        byte[] key = HexFormat.of().parseHex(settings.get("key"));
        return bootstraps ? Security.pskBootstrap(uri, identity, key) : Security.psk(uri, server, identity, key);
    }

    static void configure(Configuration configuration, Map<String, String> settings) {
        configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
        configuration.setTransient(DtlsConfig.DTLS_CONNECTION_ID_LENGTH);
        String length = settings.get("cid");
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, length == null ? null : Integer.valueOf(length));
        if (settings.containsKey("suites")) {
            configuration.setTransient(DtlsConfig.DTLS_CIPHER_SUITES);
            configuration.set(
                    DtlsConfig.DTLS_CIPHER_SUITES,
                    Stream.of(settings.get("suites").split(",")).map(CipherSuite::getTypeByName).toList());
        }
        if (settings.containsKey("mtu")) {
            configuration.setTransient(DtlsConfig.DTLS_MAX_TRANSMISSION_UNIT);
            configuration.set(DtlsConfig.DTLS_MAX_TRANSMISSION_UNIT, Integer.valueOf(settings.get("mtu")));
        }
        if (settings.containsKey("repeat")) {
            configuration.set(
                    DtlsConfig.DTLS_RETRANSMISSION_TIMEOUT,
                    Integer.valueOf(settings.get("repeat")),
                    TimeUnit.MILLISECONDS);
        }
    }

    private static byte[] certificate(String file) throws Exception {
        try (InputStream in = new FileInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificate(in).getEncoded();
        }
    }

    /** PKCS #8. */
    private static byte[] key(String file) throws Exception {
        String body = Files.readString(Path.of(file)).replaceAll("-----[A-Z ]+-----", "");
        return Base64.getMimeDecoder().decode(body);
    }
}
