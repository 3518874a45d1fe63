{{/* What the Service and the Deployment select on; never changes between versions. */}}
{{- define "unicorn.selector" -}}
app.kubernetes.io/name: unicorn
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "unicorn.labels" -}}
{{ include "unicorn.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The version "broken" is no colour that a browser knows. */}}
{{- define "unicorn.colour" -}}
{{- get (dict "pink" "#e754a6" "blue" "#2f6fde" "green" "#2c9c57") .Chart.AppVersion | default "#555555" -}}
{{- end }}
